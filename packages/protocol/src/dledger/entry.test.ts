import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { dledgerBytes, viewOf } from '../recorded-samples.ts'
import {
  blankNeeded,
  CHANNEL_BARRIER,
  CHANNEL_NORMAL,
  checkEntry,
  ENTRY_HEADER_BYTES,
  type EntryCheck,
  entryBodyBytes,
  entryBodyCrc,
  entryChainCrc,
  entryChannel,
  entryIndex,
  entryMagic,
  entryPosition,
  entrySize,
  entryTerm,
  MAGIC_BLANK,
  MAGIC_NORMAL,
  sealEntry,
  writeBlank,
  writeEntryHeader,
} from './entry.ts'
import {
  INDEX_UNIT_BYTES,
  indexUnitPosition,
  indexUnitSize,
  readIndexUnit,
  writeIndexUnit,
} from './index.ts'

const SAMPLES = [
  { name: 'index0-term0-pos0-emptybody', index: 0, term: 0, position: 0 },
  { name: 'index42-term3-pos8192-hello', index: 42, term: 3, position: 8192 },
  {
    name: 'index4294967301-term9-pos1099511627776-body256',
    index: 4294967301,
    term: 9,
    position: 1099511627776,
  },
]

const long = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const anyEntry = fc.record({
  index: long,
  term: long,
  position: long,
  body: fc.uint8Array({ maxLength: 300 }),
})
type AnyEntry = { index: number; term: number; position: number; body: Uint8Array }

function encoded(entry: AnyEntry, offset = 0, previousChainCrc?: number): Buffer {
  const bytes = Buffer.alloc(offset + ENTRY_HEADER_BYTES + entry.body.length)
  const view = viewOf(bytes)
  writeEntryHeader(view, offset, { ...entry, bodyBytes: entry.body.length })
  bytes.set(entry.body, offset + ENTRY_HEADER_BYTES)
  if (previousChainCrc !== undefined) sealEntry(bytes, view, offset, previousChainCrc)
  return bytes
}

function check(
  bytes: Buffer,
  position: number,
  previousChainCrc?: number,
  index?: number,
): EntryCheck {
  return checkEntry(bytes, viewOf(bytes), 0, bytes.length, { position, previousChainCrc, index })
}

test('the channel is 0 unless it is given, and the checksum covers it', () => {
  const bytes = Buffer.alloc(ENTRY_HEADER_BYTES)
  const view = viewOf(bytes)
  const header = { index: 3, term: 2, position: 500, bodyBytes: 0 }
  writeEntryHeader(view, 0, header)
  assert.equal(entryChannel(view, 0), CHANNEL_NORMAL)
  writeEntryHeader(view, 0, { ...header, channel: CHANNEL_BARRIER })
  assert.equal(entryChannel(view, 0), CHANNEL_BARRIER)
  sealEntry(bytes, view, 0, 7)
  assert.equal(check(bytes, 500, 7), 'ok')
  view.setInt32(32, CHANNEL_NORMAL)
  assert.equal(check(bytes, 500, 7), 'chainCrc')
})

test("DLedger's entries and index units are read, and written byte for byte", () => {
  for (const { name, index, term, position } of SAMPLES) {
    const bytes = dledgerBytes(`entry-${name}`)
    const view = viewOf(bytes)
    assert.equal(entryMagic(view, 0), MAGIC_NORMAL)
    assert.equal(entrySize(view, 0), bytes.length)
    assert.deepEqual(
      [entryIndex(view, 0), entryTerm(view, 0), entryPosition(view, 0)],
      [index, term, position],
    )
    assert.equal(entryBodyBytes(view, 0), bytes.length - ENTRY_HEADER_BYTES)
    assert.equal(check(bytes, position, undefined, index), 'legacy')
    const body = bytes.subarray(ENTRY_HEADER_BYTES)
    assert.deepEqual(encoded({ index, term, position, body }), bytes)
    const unit = dledgerBytes(`indexentry-${name}`)
    const expected = { magic: 1, position, sizeBytes: bytes.length, index, term }
    assert.deepEqual(readIndexUnit(viewOf(unit), 0), expected)
    const again = Buffer.alloc(INDEX_UNIT_BYTES + 3)
    writeIndexUnit(viewOf(again), 3, position, bytes.length, index, term)
    assert.deepEqual(again.subarray(3), unit)
    assert.equal(indexUnitPosition(viewOf(again), 3), position)
    assert.equal(indexUnitSize(viewOf(again), 3), bytes.length)
  }
})

test("the segments of DLedger's store are walked to their end, index beside data", () => {
  const segmentBytes = 1024
  let index = 0
  for (const base of [0, 1024]) {
    const name = String(base).padStart(20, '0')
    const data = dledgerBytes(`store-data-${name}`)
    const view = viewOf(data)
    let at = 0
    let found: EntryCheck = 'ok'
    while (at < data.length) {
      const position = base + at
      found = checkEntry(data, view, at, data.length - at, { position, index })
      if (found !== 'legacy') break
      const unitName = String(Math.floor(index / 8) * 256).padStart(20, '0')
      const unit = readIndexUnit(viewOf(dledgerBytes(`store-index-${unitName}`)), (index % 8) * 32)
      assert.deepEqual(unit, {
        magic: 1,
        position,
        sizeBytes: entrySize(view, at),
        index,
        term: entryTerm(view, at),
      })
      at += entrySize(view, at)
      index++
    }
    if (base === 0) {
      assert.equal(found, 'blank')
      assert.equal(entrySize(view, at), segmentBytes - at)
      assert.equal(blankNeeded(at, 53, segmentBytes), segmentBytes - at)
    } else {
      assert.equal(found, 'unused')
    }
  }
  assert.equal(index, 13)
})

test('a sealed entry carries the checksums that zlib computes', () => {
  fc.assert(
    fc.property(
      anyEntry,
      fc.nat({ max: 0xffffffff }),
      fc.nat({ max: 9 }),
      (entry, seed, offset) => {
        const bytes = encoded(entry, offset, seed)
        const view = viewOf(bytes)
        const header = bytes.subarray(offset, offset + ENTRY_HEADER_BYTES)
        const covered = Buffer.concat([header.subarray(0, 36), header.subarray(40)])
        assert.equal(entryBodyCrc(view, offset), zlibCrc32(entry.body))
        assert.equal(entryChainCrc(view, offset), zlibCrc32(covered, seed))
        assert.equal(sealEntry(bytes, view, offset, seed), entryChainCrc(view, offset))
      },
    ),
  )
})

test('a chain of entries checks link by link, and only in its order', () => {
  fc.assert(
    fc.property(fc.array(anyEntry, { minLength: 2, maxLength: 5 }), (entries) => {
      let seed = 0
      for (const entry of entries) {
        const bytes = encoded(entry, 0, seed)
        assert.equal(check(bytes, entry.position, seed, entry.index), 'ok')
        assert.equal(check(bytes, entry.position), 'ok')
        assert.equal(check(bytes, entry.position, (seed + 1) >>> 0), 'chainCrc')
        seed = entryChainCrc(viewOf(bytes), 0)
      }
    }),
  )
})

test('every changed bit of a sealed entry is seen', () => {
  fc.assert(
    fc.property(anyEntry, fc.nat({ max: 0xffffffff }), fc.nat(), (entry, seed, which) => {
      const bytes = encoded(entry, 0, seed)
      const bit = which % (bytes.length * 8)
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
      assert.notEqual(check(bytes, entry.position, seed, entry.index), 'ok')
    }),
    { numRuns: 1_000 },
  )
})

test('a cut entry is short, whatever is left of it', () => {
  const entry = { index: 5, term: 2, position: 100, body: Buffer.from('hello') }
  const bytes = encoded(entry, 0, 7)
  for (let available = 0; available < bytes.length; available++) {
    const view = viewOf(bytes)
    assert.equal(checkEntry(bytes, view, 0, available, { position: 100 }), 'short')
  }
})

test('each kind of damage has its name', () => {
  const entry = { index: 5, term: 2, position: 100, body: Buffer.from('hello') }
  const damaged = (at: number, value: number): EntryCheck => {
    const bytes = encoded(entry, 0, 7)
    bytes.writeInt32BE(value, at)
    return check(bytes, 100, 7, 5)
  }
  assert.equal(damaged(0, 2), 'magic')
  assert.equal(damaged(4, 52), 'size')
  assert.equal(damaged(4, 47), 'size')
  assert.equal(damaged(12, 6), 'index')
  assert.equal(damaged(28, 101), 'position')
  assert.equal(damaged(20, 3), 'chainCrc')
  assert.equal(damaged(32, 1), 'chainCrc')
  assert.equal(damaged(36, 1), 'chainCrc')
  assert.equal(damaged(40, 1), 'bodyCrc')
  assert.equal(damaged(48, 0), 'bodyCrc')
  assert.equal(check(Buffer.alloc(100), 100), 'unused')
})

test('entries without checksums are legacy, empty ones too', () => {
  for (const body of [Buffer.alloc(0), Buffer.from('x')]) {
    const bytes = encoded({ index: 5, term: 2, position: 100, body })
    assert.equal(check(bytes, 100), 'legacy')
    assert.equal(check(bytes, 100, 7, 5), 'legacy')
  }
})

test('a blank is recognised, and fills its place with zeros', () => {
  const bytes = Buffer.alloc(40, 0xee)
  const view = viewOf(bytes)
  writeBlank(bytes, view, 4, 30)
  assert.equal(entryMagic(view, 4), MAGIC_BLANK)
  assert.equal(entrySize(view, 4), 30)
  assert.equal(checkEntry(bytes, view, 4, 8, { position: 1 }), 'blank')
  assert.ok(bytes.subarray(12, 34).every((byte) => byte === 0))
  assert.ok(bytes.subarray(34).every((byte) => byte === 0xee))
  view.setInt32(8, 7)
  assert.equal(checkEntry(bytes, view, 4, 30, { position: 1 }), 'size')
})

test('a segment always keeps room for a blank behind its last entry', () => {
  assert.equal(blankNeeded(0, 92, 100), 0)
  assert.equal(blankNeeded(8, 84, 100), 0)
  assert.equal(blankNeeded(9, 84, 100), 91)
  assert.equal(blankNeeded(92, 1, 100), 8)
  assert.throws(() => blankNeeded(0, 93, 100), { name: 'LedgerError', code: 'TOO_LARGE' })
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 48, max: 500 }), { maxLength: 30 }), (sizes) => {
      let at = 0
      for (const size of sizes) {
        const blank = blankNeeded(at, size, 512)
        if (blank > 0) {
          assert.ok(blank >= 8)
          assert.equal(at + blank, 512)
          at = 0
        }
        at += size
        assert.ok(at + 8 <= 512)
      }
    }),
  )
})
