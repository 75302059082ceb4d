import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { allocateRegion, regionBuffer } from 'sharedarraybuffer-ringbuffer'
import type { DirectFile } from './disk.ts'
import { TailBlock } from './tail-block.ts'

const BLOCK_BYTES = 512
const LOG_BYTES = 16 * BLOCK_BYTES

/** A file that takes what `write` may be given, and counts its calls. */
class BlockFile implements DirectFile {
  readonly blockBytes = BLOCK_BYTES
  readonly content: Buffer = Buffer.alloc(LOG_BYTES)
  writes = 0
  refuses = false

  write(parts: readonly Uint8Array[], position: number): boolean {
    this.writes++
    if (this.refuses) return false
    assert.equal(position % BLOCK_BYTES, 0)
    let at = position
    for (const part of parts) {
      assert.equal(part.byteOffset % BLOCK_BYTES, 0)
      assert.ok(part.length > 0 && part.length % BLOCK_BYTES === 0)
      this.content.set(part, at)
      at += part.length
    }
    return true
  }

  close(): void {}
}

/** A log in memory that is 255 in every byte, as if older bytes stood behind its end. */
function worldOf(base = 0): { file: BlockFile; tail: TailBlock; memory: Buffer; reads: number[] } {
  const file = new BlockFile()
  const reads: number[] = []
  const tail = new TailBlock(BLOCK_BYTES, (position, target, sizeBytes) => {
    reads.push(position)
    file.content.copy(target, 0, position - base, position - base + sizeBytes)
  })
  const memory = regionBuffer(allocateRegion(LOG_BYTES))
  memory.fill(255)
  return { file, tail, memory, reads }
}

test('appends of any length lie one behind the other, and zeros behind them to the block', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 3 * BLOCK_BYTES }), { maxLength: 40 })
  fc.assert(
    fc.property(sizes, fc.integer({ min: 0, max: 5 }), (all, forgetEach) => {
      const { file, tail, memory, reads } = worldOf()
      const expected = Buffer.alloc(LOG_BYTES)
      let end = 0
      for (const [index, sizeBytes] of all.entries()) {
        if (end + sizeBytes > LOG_BYTES) break
        memory.fill(1 + (index % 200), end, end + sizeBytes)
        memory.copy(expected, end, end, end + sizeBytes)
        if (forgetEach > 0 && index % forgetEach === 0) tail.forget()
        assert.ok(tail.append(file, 0, end, memory, end, sizeBytes))
        end += sizeBytes
        const filled = Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES
        assert.ok(file.content.subarray(0, filled).equals(expected.subarray(0, filled)))
        assert.equal(file.writes, index + 1, 'one call each')
      }
      if (forgetEach === 0) assert.deepEqual(reads, [])
    }),
  )
})

test('what others wrote to the last block in the meantime stays', () => {
  const { file, tail, memory } = worldOf()
  tail.append(file, 0, 0, memory, 0, 100)
  file.content.fill(7, 40, 60)
  tail.forget()
  tail.append(file, 0, 100, memory, 100, 10)
  const expected = Buffer.alloc(110, 255)
  expected.fill(7, 40, 60)
  assert.ok(file.content.subarray(0, 110).equals(expected))
})

test('after a refusal the end is read anew', () => {
  const { file, tail, memory, reads } = worldOf()
  tail.append(file, 0, 0, memory, 0, 100)
  file.refuses = true
  assert.equal(tail.append(file, 0, 100, memory, 100, 10), false)
  file.refuses = false
  assert.ok(tail.append(file, 0, 100, memory, 100, 10))
  assert.deepEqual(reads, [0])
})

test('the positions of a later segment count from its first byte', () => {
  const base = 8 * LOG_BYTES
  const { file, tail, memory } = worldOf(base)
  memory.fill(9, 700, 900)
  tail.append(file, base, base + 700, memory, 700, 200)
  assert.ok(file.content.subarray(700, 900).equals(memory.subarray(700, 900)))
})
