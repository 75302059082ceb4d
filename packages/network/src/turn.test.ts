import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turn } from './turn.ts'

const endOfTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('callbacks run once a turn, by order and then by registration, and flushes after them', async () => {
  const turn = new Turn()
  const ran: string[] = []
  turn.onEnd(() => ran.push('second'), 1)
  turn.onEnd(() => ran.push('third'), 1)
  turn.onEnd(() => {
    ran.push('first')
    turn.flushAtEnd({ flush: () => ran.push('flush from a callback') })
  })
  const remove = turn.onEnd(() => ran.push('removed'))
  remove()
  turn.flushAtEnd({ flush: () => ran.push('flush') })
  turn.schedule()
  turn.schedule()
  assert.deepEqual(ran, [])
  await endOfTurn()
  assert.deepEqual(ran, ['first', 'second', 'third', 'flush', 'flush from a callback'])
  await endOfTurn()
  assert.equal(ran.length, 5)
})

test('what is asked for during the end runs in another turn', async () => {
  const turn = new Turn()
  let ends = 0
  let flushes = 0
  turn.onEnd(() => {
    ends++
    if (ends < 3) turn.schedule()
  })
  turn.flushAtEnd({ flush: () => turn.flushAtEnd({ flush: () => flushes++ }) })
  for (let count = 0; count < 6; count++) await endOfTurn()
  assert.equal(ends, 3)
  assert.equal(flushes, 1)
})
