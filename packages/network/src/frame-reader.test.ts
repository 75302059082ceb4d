import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { remotingFrameLength } from './connection.ts'
import { FrameReader, ReadBudget } from './frame-reader.ts'
import { frame } from './testing.ts'

interface Reading {
  readonly reader: FrameReader
  readonly budget: ReadBudget
  readonly frames: string[]
  /** How many of the next offers are refused. */
  refusals: number
}

function reading(keptBytes = 4096, maxBytes = 1 << 20): Reading {
  const budget = new ReadBudget(maxBytes)
  const frames: string[] = []
  const state: Reading = { reader: undefined as never, budget, frames, refusals: 0 }
  const reader = new FrameReader({
    keptBytes,
    budget,
    frameLength: remotingFrameLength,
    onFrame: (buffer, start, end) => {
      if (state.refusals > 0) {
        state.refusals--
        return false
      }
      frames.push(buffer.toString('latin1', start + 8, end))
      return true
    },
  })
  return Object.assign(state, { reader })
}

/**
 * Plays the socket: writes as much as fits where the reader wants it, offers kept frames again when
 * it stopped.
 */
function deliver(state: Reading, stream: Buffer, sizes: Iterator<number>): void {
  const { reader } = state
  let offset = 0
  let place = reader.place()
  while (offset < stream.length) {
    const { value: wanted } = sizes.next()
    const sizeBytes = Math.min(wanted, place.length, stream.length - offset)
    assert.ok(sizeBytes > 0, 'the reader always has room')
    stream.copy(place, 0, offset, offset + sizeBytes)
    offset += sizeBytes
    let readable = reader.received(sizeBytes)
    // As a socket does: the place is asked for right after a read, and kept over a pause.
    place = reader.place()
    for (let tries = 0; !readable && tries < 100; tries++) readable = reader.restart()
    assert.ok(readable, reader.failure)
  }
}

function* always(size: number): Generator<number, never> {
  for (;;) yield size
}

function* cycle(sizes: readonly number[]): Generator<number, never> {
  for (;;) yield* sizes
}

test('frames come out whole when cut at every byte', () => {
  const texts = ['', 'a', 'hello', 'x'.repeat(3000), 'last']
  const stream = Buffer.concat(texts.map(frame))
  for (let cut = 1; cut < stream.length; cut++) {
    const state = reading()
    deliver(state, stream.subarray(0, cut), always(1 << 20))
    deliver(state, stream.subarray(cut), always(1 << 20))
    assert.deepEqual(state.frames, texts)
  }
  const bytewise = reading()
  deliver(bytewise, stream, always(1))
  assert.deepEqual(bytewise.frames, texts)
})

test('property: any frames in any pieces with any refusals come out once and in order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(9000), { maxLength: 30 }),
      fc.array(fc.integer({ min: 1, max: 6000 }), { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(2), { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      (sizes, pieces, refusals, chunked) => {
        const texts = sizes.map((size, index) =>
          String.fromCharCode(97 + (index % 26)).repeat(size),
        )
        const stream = Buffer.concat(texts.map(frame))
        const state = reading()
        const refusing = cycle(refusals)
        const piece = cycle(pieces)
        for (let offset = 0; offset < stream.length; ) {
          state.refusals = refusing.next().value
          const sizeBytes = Math.min(piece.next().value, stream.length - offset)
          const part = stream.subarray(offset, offset + sizeBytes)
          offset += sizeBytes
          if (chunked) {
            let readable = state.reader.feed(part)
            while (!readable) readable = state.reader.restart()
          } else {
            deliver(state, part, always(1 << 20))
          }
        }
        assert.deepEqual(state.frames, texts)
        state.reader.close()
        assert.equal(state.budget.usedBytes, 0)
      },
    ),
    { numRuns: 200 },
  )
})

test('the buffer grows with the bytes of a large frame, not with its announcement, and shrinks back', () => {
  const state = reading(4096, 1 << 20)
  const large = frame('x'.repeat(400_000))
  deliver(state, large.subarray(0, 100), always(4096))
  assert.equal(state.budget.usedBytes, 0)
  deliver(state, large.subarray(100, 50_000), always(4096))
  assert.ok(state.budget.usedBytes > 40_000 && state.budget.usedBytes < 110_000)
  deliver(state, large.subarray(50_000), always(4096))
  assert.deepEqual(state.frames, ['x'.repeat(400_000)])
  assert.equal(state.budget.usedBytes, 0)
  assert.equal(state.reader.place().length, 4096)
})

test('readers that together want too much memory fail, and give back what they had', () => {
  const state = reading(4096, 10_000)
  const stream = frame('x'.repeat(100_000))
  let offset = 0
  while (state.reader.failure === 'none') {
    const place = state.reader.place()
    stream.copy(place, 0, offset, offset + place.length)
    offset += place.length
    state.reader.received(place.length)
  }
  assert.equal(state.reader.failure, 'no-memory')
  assert.ok(state.budget.usedBytes > 0)
  state.reader.close()
  state.reader.close()
  assert.equal(state.budget.usedBytes, 0)
})

test('lengths that cannot be end the stream and offer nothing', () => {
  const bad = [
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0, 0, 0, 3]),
    Buffer.from([1, 0, 0, 1]),
    Buffer.from([0, 0, 0, 10, 0, 0, 0, 7]),
  ]
  for (const bytes of bad) {
    const state = reading()
    assert.equal(state.reader.feed(bytes), false)
    assert.equal(state.reader.failure, 'not-a-frame')
    assert.equal(state.reader.firstByte, bytes[0])
    assert.deepEqual(state.frames, [])
  }
})

test('property: random bytes never throw and never grow the reader beyond its budget', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 20 }),
      (chunks) => {
        const state = reading(2048, 100_000)
        for (const chunk of chunks) if (!state.reader.feed(Buffer.from(chunk))) break
        assert.ok(state.budget.usedBytes <= 100_000)
      },
    ),
  )
})
