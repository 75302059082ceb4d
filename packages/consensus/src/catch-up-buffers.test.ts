import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CatchUpBuffers } from './catch-up-buffers.ts'

interface Sent {
  readonly buffer: Buffer
  leftBytes: number
}

/** A socket that sends in order, and the batches that it took. */
class Socket {
  readonly #queue: Sent[] = []

  get queuedBytes(): number {
    return this.#queue.reduce((sum, { leftBytes }) => sum + leftBytes, 0)
  }

  take(buffer: Buffer, sizeBytes: number): void {
    this.#queue.push({ buffer, leftBytes: sizeBytes })
  }

  flush(sizeBytes: number): void {
    for (let left = sizeBytes; left > 0 && this.#queue.length > 0; ) {
      const first = this.#queue[0]!
      const part = Math.min(left, first.leftBytes)
      first.leftBytes -= part
      left -= part
      if (first.leftBytes === 0) this.#queue.shift()
    }
  }

  holds(buffer: Buffer): boolean {
    return this.#queue.some((sent) => sent.buffer === buffer)
  }
}

test('no buffer is given while the socket holds bytes of it, whatever else it sends', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('batch' as const), sizeBytes: fc.integer({ min: 1, max: 900 }) }),
    fc.record({ kind: fc.constant('other' as const), sizeBytes: fc.integer({ min: 1, max: 900 }) }),
    fc.record({
      kind: fc.constant('flush' as const),
      sizeBytes: fc.integer({ min: 1, max: 2000 }),
    }),
    fc.record({ kind: fc.constant('refused' as const), sizeBytes: fc.constant(1) }),
  )
  const other = Buffer.alloc(1)
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const buffers = new CatchUpBuffers()
      const socket = new Socket()
      for (const { kind, sizeBytes } of steps) {
        if (kind === 'flush') socket.flush(sizeBytes)
        else if (kind === 'other') socket.take(other, sizeBytes)
        else {
          const buffer = buffers.take(sizeBytes, socket.queuedBytes)
          assert.ok(!socket.holds(buffer))
          const before = socket.queuedBytes
          if (kind === 'batch') socket.take(buffer, sizeBytes)
          buffers.give(buffer, socket.queuedBytes - before)
        }
      }
    }),
  )
})

test('buffers that the socket is done with are used again, long before it holds nothing', () => {
  const buffers = new CatchUpBuffers()
  const made = new Set<Buffer>()
  for (let batch = 0; batch < 100; batch++) {
    const buffer = buffers.take(1000, batch === 0 ? 0 : 1000)
    made.add(buffer)
    buffers.give(buffer, 1000)
  }
  assert.equal(made.size, 2)
})
