import assert from 'node:assert/strict'
import { test } from 'node:test'
import { copyBytes } from './copy.ts'
import { Counters } from './counters.ts'

test('counters are read by name through another object', () => {
  const shared = Counters.allocate(['sends', 'bytes'])
  const writer = new Counters(shared)
  const reader = new Counters(structuredClone(shared))
  const bytes = writer.slot('bytes')
  writer.add(bytes, 2 ** 40)
  writer.add(writer.slot('sends'))
  writer.add(bytes)
  assert.deepEqual(reader.snapshot(), { sends: 1, bytes: 2 ** 40 + 1 })
  writer.set(bytes, 5)
  assert.equal(reader.get(bytes), 5)
  assert.throws(() => writer.slot('other'), /unknown counter other/)
  assert.throws(() => Counters.allocate(['a', 'a']), /unique/)
})

test('copies of every size class arrive whole and touch nothing else', () => {
  const source = Buffer.from(Array.from({ length: 600 }, (_, index) => (index * 7) & 255))
  for (const sizeBytes of [0, 1, 31, 64, 65, 300, 500]) {
    const target = Buffer.alloc(600, 0xee)
    copyBytes(source, 11, target, 5, sizeBytes)
    assert.ok(target.subarray(5, 5 + sizeBytes).equals(source.subarray(11, 11 + sizeBytes)))
    assert.ok(target.subarray(0, 5).every((byte) => byte === 0xee))
    assert.ok(target.subarray(5 + sizeBytes).every((byte) => byte === 0xee))
  }
})
