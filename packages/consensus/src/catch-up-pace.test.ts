import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CatchUpPace } from './catch-up-pace.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** Clients write for `ticks` ticks; a laggard takes all that it may, in batches. */
function taken(pace: CatchUpPace, writtenPerTick: number, ticks: number, batchBytes = MIB): number {
  let [endPosition, bytes] = [0, 0]
  for (let tick = 0; tick < ticks; tick++) {
    endPosition += writtenPerTick
    pace.tick(endPosition)
    for (let batch = 0; pace.open && batch < 100; batch++) {
      pace.take(batchBytes)
      bytes += batchBytes
    }
  }
  return bytes
}

test('while nobody writes a laggard gets all that it can take', () => {
  assert.equal(taken(new CatchUpPace(0), 0, 10), 10 * 100 * MIB)
})

test('a laggard gets more than clients write, so that it comes closer and they go on', () => {
  const pace = new CatchUpPace(0)
  const [writtenPerTick, ticks] = [2 * MIB, 400]
  taken(pace, writtenPerTick, 100)
  const bytes = taken(pace, writtenPerTick, ticks)
  const times = bytes / (writtenPerTick * ticks)
  assert.ok(times > 1.4 && times < 1.6, `${times} times what was written`)
})

test('it is never kept to less than 16 MiB a second, nor by a batch that was too long', () => {
  const pace = new CatchUpPace(0)
  taken(pace, 10 * KIB, 100)
  for (const batchBytes of [64 * KIB, 5 * MIB]) {
    const perSecond = taken(pace, 10 * KIB, 400, batchBytes) / 10
    assert.ok(perSecond > 15 * MIB && perSecond < 17 * MIB, `${perSecond} bytes`)
  }
})

test('what was sent while nobody wrote is no debt', () => {
  const pace = new CatchUpPace(0)
  taken(pace, 0, 100)
  assert.equal(taken(pace, 2 * MIB, 1), MIB)
})
