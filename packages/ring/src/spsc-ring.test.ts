import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SpscRing } from './spsc-ring.ts'

test('a published frame comes out with its type and bytes', () => {
  const shared = SpscRing.allocate(256)
  const producer = new SpscRing(shared)
  const consumer = new SpscRing(shared)
  const offset = producer.claim(5, 7)
  producer.bytes.write('hello', offset, 'latin1')
  producer.commit()
  assert.equal(consumer.pending, false)
  assert.equal(producer.publish(), true)
  assert.equal(producer.publish(), false)
  assert.equal(consumer.pending, true)
  const seen: string[] = []
  const count = consumer.drain((type, at, sizeBytes) => {
    seen.push(`${type}:${consumer.bytes.toString('latin1', at, at + sizeBytes)}`)
  })
  assert.equal(count, 1)
  assert.deepEqual(seen, ['7:hello'])
  assert.equal(producer.freeBytes, 256)
})
