import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import fc from 'fast-check'
import { SpscRing } from './spsc-ring.ts'

/** Both ends of a ring of `capacityBytes`, as two threads would have them. */
function ringOf(capacityBytes: number): { producer: SpscRing; consumer: SpscRing } {
  const shared = SpscRing.allocate(capacityBytes)
  return { producer: new SpscRing(shared), consumer: new SpscRing(shared) }
}

/** Claims and fills a frame with bytes derived from `seed`; false when the ring is full. */
function put(ring: SpscRing, type: number, sizeBytes: number, seed: number): boolean {
  const offset = ring.claim(sizeBytes, type)
  if (offset < 0) return false
  for (let index = 0; index < sizeBytes; index++) ring.bytes[offset + index] = seed + index
  ring.commit()
  return true
}

function assertFrame(ring: SpscRing, offset: number, sizeBytes: number, seed: number): void {
  for (let index = 0; index < sizeBytes; index++) {
    assert.equal(ring.bytes[offset + index], (seed + index) & 255)
  }
}

test('a published frame comes out with its type and bytes', () => {
  const { producer, consumer } = ringOf(256)
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

test('payloads start on a multiple of 8 and the data region on a page', () => {
  const { producer } = ringOf(1024)
  assert.equal(producer.bytes.byteOffset % 4096, 0)
  for (const sizeBytes of [1, 7, 8, 9, 0, 3]) {
    assert.equal(producer.claim(sizeBytes, 0) % 8, 0)
    producer.commit()
  }
})

test('an aborted claim leaves no trace and a shortened one only what was kept', () => {
  const { producer, consumer } = ringOf(256)
  producer.claim(100, 1)
  producer.abort()
  producer.claim(100, 2)
  producer.commit(3)
  producer.publish()
  const sizes: number[] = []
  consumer.drain((type, _offset, sizeBytes) => {
    sizes.push(type, sizeBytes)
  })
  assert.deepEqual(sizes, [2, 3])
  assert.throws(() => producer.commit(), /commit follows a claim/)
})

test('what can never fit is refused, what does not fit now waits', () => {
  const { producer, consumer } = ringOf(128)
  assert.throws(
    () => producer.claim(producer.maxPayloadBytes + 1, 0),
    (error) => error instanceof LedgerError && error.code === 'TOO_LARGE',
  )
  assert.ok(put(producer, 0, producer.maxPayloadBytes, 0))
  assert.ok(put(producer, 0, producer.maxPayloadBytes, 0))
  assert.equal(producer.claim(0, 0), -1)
  producer.publish()
  assert.equal(
    consumer.drain(() => {}),
    2,
  )
  assert.equal(consumer.takeStarved(), true)
  assert.equal(consumer.takeStarved(), false)
  assert.notEqual(producer.claim(0, 0), -1)
})

test('a consumer that says false or throws keeps its frame', () => {
  const { producer, consumer } = ringOf(1024)
  for (let type = 0; type < 5; type++) put(producer, type, 4, type)
  producer.publish()
  assert.equal(
    consumer.drain((type) => type < 2),
    2,
  )
  assert.throws(() =>
    consumer.drain((type) => {
      if (type === 3) throw new Error('cannot')
    }),
  )
  const types: number[] = []
  assert.equal(
    consumer.drain((type) => {
      types.push(type)
    }, 1),
    1,
  )
  assert.deepEqual(types, [3])
  assert.equal(consumer.pending, true)
})

test('a new object goes on where the shared words are', () => {
  const { producer, consumer } = ringOf(256)
  put(producer, 1, 8, 0)
  put(producer, 2, 8, 0)
  producer.publish()
  consumer.drain(() => {}, 1)
  const types: number[] = []
  new SpscRing(consumer.shared).drain((type) => {
    types.push(type)
  })
  assert.deepEqual(types, [2])
})

test('property: any mix of claims, aborts, publishes and drains delivers all frames in order', () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('put' as const), size: fc.nat(120) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), size: fc.nat(120) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('publish' as const) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('drain' as const), max: fc.nat(6) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const { producer, consumer } = ringOf(256)
      const published: [number, number][] = []
      let batch: [number, number][] = []
      let count = 0
      for (const action of steps) {
        if (action.do === 'put') {
          if (put(producer, count, action.size, count)) batch.push([count++, action.size])
          else assert.ok(producer.freeBytes < 2 * (action.size + 16))
        } else if (action.do === 'abort') {
          if (producer.claim(action.size, count) >= 0) producer.abort()
        } else if (action.do === 'publish') {
          assert.equal(producer.publish(), batch.length > 0)
          published.push(...batch)
          batch = []
        } else {
          const expected = published.splice(0, action.max)
          const drained = consumer.drain((type, offset, sizeBytes) => {
            assert.deepEqual([type, sizeBytes], expected.shift())
            assertFrame(consumer, offset, sizeBytes, type)
          }, action.max)
          assert.equal(expected.length, 0)
          assert.ok(drained <= action.max)
        }
      }
      producer.publish()
      published.push(...batch)
      consumer.drain((type, _offset, sizeBytes) => {
        assert.deepEqual([type, sizeBytes], published.shift())
      })
      assert.equal(published.length, 0)
      assert.equal(producer.freeBytes, 256)
    }),
  )
})

test('sequences wrap past 2^31 and 2^32 without a trace', () => {
  const shared = SpscRing.allocate(256)
  const control = new Int32Array(shared, 0, 1024)
  // As after 2 GiB less 512 bytes of traffic: published and consumed stand on lines 1 and 2.
  control[32] = control[64] = 2 ** 31 - 512
  const producer = new SpscRing(shared)
  const consumer = new SpscRing(shared)
  for (let round = 0; round < 100; round++) {
    assert.ok(put(producer, round, 40, round))
    assert.ok(producer.publish())
    const drained = consumer.drain((type, offset, sizeBytes) => {
      assert.equal(type, round)
      assertFrame(consumer, offset, sizeBytes, round)
    })
    assert.equal(drained, 1)
  }
  assert.ok(control[32]! < 0)
})

test('a region that is no ring and a frame that is none are noticed', () => {
  assert.throws(() => new SpscRing(new SharedArrayBuffer(8192)), /not a ring/)
  const { producer, consumer } = ringOf(256)
  put(producer, 1, 8, 0)
  producer.publish()
  new Int32Array(consumer.shared, 4096)[0] = 10_000
  assert.throws(() => consumer.drain(() => {}), /within what was published/)
})
