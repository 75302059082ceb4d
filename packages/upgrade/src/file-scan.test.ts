import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import xxhash from 'xxhash-wasm'
import { type FileScan, hex, scanFile } from './file-scan.ts'
import { FAKE_SEGMENT_BYTES, layOut, someMessages } from './store-maker-fake.ts'

const directory = mkdtempSync(join(tmpdir(), 'file-scan-'))
after(() => rmSync(directory, { recursive: true }))
const { create64, h64Raw } = await xxhash()

function scan(bytes: Buffer, offset = 0, digestAt: readonly number[] = []): FileScan {
  const path = join(directory, 'file')
  writeFileSync(path, bytes)
  return scanFile(
    { path, offset, digestAt },
    () => create64(),
    () => {},
  )
}

test('a file ends at its blank, or where nothing was written', () => {
  const store = layOut(someMessages(30))
  const ends = store.files.map(({ offset, bytes }) => scan(bytes, offset).file)
  assert.ok(ends.length > 2)
  assert.deepEqual(
    ends.map(({ end }) => end),
    [...ends.slice(1).map(() => 'blank'), 'unused'],
  )
  assert.equal(ends.at(-1)?.endOffset, store.endOffset)
  assert.equal(
    ends.reduce((sum, { messages }) => sum + messages, 0),
    30,
  )
})

test('the digest is xxhash64 of the data, and of any beginning that was asked for', () => {
  const store = layOut(someMessages(8))
  const { bytes } = store.files[0]!
  const [, second = 0] = store.offsets
  const { file } = scan(bytes, 0, [second, second + 3])
  const digestOf = (end: number): string => hex(h64Raw(bytes.subarray(0, end)))
  assert.equal(file.digest, digestOf(file.endOffset))
  assert.deepEqual(file.marks, [
    { offset: second, digest: digestOf(second) },
    { offset: second + 3, digest: digestOf(second + 3) },
  ])
})

test('bytes behind the end do not count', () => {
  const { bytes } = layOut(someMessages(3)).files[0]!
  const clean = scan(bytes).file
  const used = Buffer.from(bytes)
  used.fill(0xab, clean.endOffset)
  const found = scan(used).file
  assert.equal(found.digest, clean.digest)
  assert.equal(found.end, 'leftover')
  assert.deepEqual(found.damage, [])
})

test('a message of an older use of the file is not taken for data', () => {
  const { bytes, offset } = layOut(someMessages(30)).files[1]!
  const renamed = scan(bytes, offset + FAKE_SEGMENT_BYTES).file
  assert.equal(renamed.messages, 0)
  assert.equal(renamed.end, 'leftover')
})

test('one flipped bit anywhere in the data is found, and what follows it is kept', () => {
  const store = layOut(someMessages(8))
  const { bytes } = store.files[0]!
  const clean = scan(bytes).file
  fc.assert(
    fc.property(fc.nat({ max: clean.endOffset * 8 - 1 }), (bit) => {
      const rotten = Buffer.from(bytes)
      rotten[bit >> 3]! ^= 1 << (bit & 7)
      const { file } = scan(rotten)
      assert.notEqual(file.digest, clean.digest)
      // The last message has none behind it that would prove it.
      if (bit >> 3 < store.offsets.at(-1)!) assert.ok(file.messages >= clean.messages - 1)
    }),
  )
})

test('random bytes are no message and no error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
      const { file } = scan(Buffer.from(bytes))
      assert.equal(file.messages, 0)
    }),
  )
})

test('a torn last message is said to be one', () => {
  const store = layOut(someMessages(3))
  const bytes = Buffer.from(store.files[0]!.bytes)
  bytes.fill(0, store.endOffset - 40)
  const { file } = scan(bytes)
  assert.equal(file.endOffset, store.offsets[2])
  assert.equal(file.end, 'damaged')
  assert.equal(file.damage.length, 1)
  assert.equal(file.damage[0]?.resumesAt, undefined)
})
