import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { viewOf } from '../recorded-samples.ts'
import { encodeCommand } from './command.ts'
import {
  announcedFrameBytes,
  BAD_FRAME,
  frameBodyStart,
  frameHeaderBytes,
  frameSerializeType,
  MAX_FRAME_BYTES,
  NEED_MORE,
  nextFrame,
} from './frame.ts'

test('frames are found one after another however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 300 }), { minLength: 1, maxLength: 5 }), (bodySizes) => {
      const frames = bodySizes.map((size, opaque) =>
        encodeCommand({ code: 11, opaque, body: Buffer.alloc(size, opaque) }),
      )
      const stream = Buffer.concat(frames)
      const view = viewOf(stream)
      let start = 0
      for (const frame of frames) {
        for (let end = start; end < start + frame.length; end++) {
          assert.equal(nextFrame(view, start, end), NEED_MORE)
        }
        assert.equal(nextFrame(view, start, stream.length), frame.length)
        assert.equal(announcedFrameBytes(view, start), frame.length)
        start += frame.length
      }
      assert.equal(nextFrame(view, start, stream.length), NEED_MORE)
    }),
    { numRuns: 20 },
  )
})

test('the parts of a frame lie where they were written', () => {
  const body = Buffer.from('hello')
  const frame = encodeCommand({ code: 11, opaque: 1, ext: { a: 'b'.repeat(70_000) }, body })
  const shifted = Buffer.concat([Buffer.alloc(3), frame])
  assert.equal(frameSerializeType(shifted, 3), 0)
  assert.equal(frameBodyStart(shifted, 3), shifted.length - body.length)
  assert.equal(frameHeaderBytes(shifted, 3), frame.length - body.length - 8)
})

test('impossible lengths are bad at once, before the bytes are there', () => {
  const frameOf = (length: number, header: number): DataView => {
    const bytes = Buffer.alloc(8)
    bytes.writeUInt32BE(length, 0)
    bytes.writeUInt32BE(header, 4)
    return viewOf(bytes)
  }
  assert.equal(nextFrame(frameOf(MAX_FRAME_BYTES + 1, 0), 0, 4), BAD_FRAME)
  assert.equal(nextFrame(frameOf(MAX_FRAME_BYTES, 0), 0, 8), NEED_MORE)
  assert.equal(nextFrame(frameOf(3, 0), 0, 4), BAD_FRAME)
  assert.equal(nextFrame(frameOf(0xffffffff, 0), 0, 8), BAD_FRAME)
  assert.equal(nextFrame(frameOf(20, 17), 0, 8), BAD_FRAME)
  assert.equal(nextFrame(frameOf(20, 16), 0, 8), NEED_MORE)
  assert.equal(nextFrame(frameOf(4, 0x01000000), 0, 8), 8)
})
