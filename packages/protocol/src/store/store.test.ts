import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { viewOf } from '../recorded-samples.ts'
import {
  CQ_UNIT_BYTES,
  cqPhysicalOffset,
  cqSizeBytes,
  cqTagsCode,
  readConsumeQueueUnit,
  writeConsumeQueueUnit,
} from './consume-queue-unit.ts'
import { fileNameOfOffset, offsetOfFileName } from './file-name.ts'
import {
  KEY_INDEX_DEFAULT_ENTRIES,
  KEY_INDEX_DEFAULT_SLOTS,
  keyIndexEntryAt,
  keyIndexFileBytes,
  keyIndexHash,
  keyIndexKey,
  keyIndexSlotAt,
  nonNegativeHash,
  readKeyIndexEntry,
  readKeyIndexHeader,
  writeKeyIndexEntry,
  writeKeyIndexHeader,
} from './index-file.ts'

const long = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })

test('a consume queue unit has the layout of RocketMQ', () => {
  const bytes = Buffer.alloc(CQ_UNIT_BYTES)
  writeConsumeQueueUnit(viewOf(bytes), 0, 0x123456789a, 400, -2)
  assert.equal(bytes.toString('hex'), '000000123456789a00000190fffffffffffffffe')
  fc.assert(
    fc.property(long, int32, long, (physicalOffset, sizeBytes, tagsCode) => {
      const view = viewOf(Buffer.alloc(CQ_UNIT_BYTES + 5))
      writeConsumeQueueUnit(view, 5, physicalOffset, sizeBytes, tagsCode)
      assert.deepEqual(readConsumeQueueUnit(view, 5), { physicalOffset, sizeBytes, tagsCode })
      assert.deepEqual(
        [cqPhysicalOffset(view, 5), cqSizeBytes(view, 5), cqTagsCode(view, 5)],
        [physicalOffset, sizeBytes, tagsCode],
      )
    }),
  )
})

test("the key index has RocketMQ's sizes and hashes", () => {
  const bytes = keyIndexFileBytes(KEY_INDEX_DEFAULT_SLOTS, KEY_INDEX_DEFAULT_ENTRIES)
  assert.equal(bytes, 420_000_040)
  assert.equal(keyIndexSlotAt(5_000_003, KEY_INDEX_DEFAULT_SLOTS), 52)
  assert.equal(keyIndexEntryAt(1, 10), 100)
  assert.equal(keyIndexKey('T', 'k'), 'T#k')
  assert.equal(keyIndexHash('TagA'), 2598919)
  assert.equal(keyIndexHash('polygenelubricants'), 0)
  assert.equal(nonNegativeHash(-5), 5)
})

test('header and entries of the key index come back', () => {
  fc.assert(
    fc.property(fc.array(long, { minLength: 4, maxLength: 4 }), int32, int32, (longs, a, b) => {
      const [begin, end, beginOffset, endOffset] = longs as [number, number, number, number]
      const header = {
        beginTimestampMs: begin,
        endTimestampMs: end,
        beginPhysicalOffset: beginOffset,
        endPhysicalOffset: endOffset,
        slotCount: a,
        indexCount: b,
      }
      const view = viewOf(Buffer.alloc(100))
      writeKeyIndexHeader(view, 0, header)
      assert.deepEqual(readKeyIndexHeader(view, 0), header)
      writeKeyIndexEntry(view, 40, a, begin, 77, b)
      const expected = {
        keyHash: a,
        physicalOffset: begin,
        timeDifferenceSeconds: 77,
        previousEntry: b,
      }
      assert.deepEqual(readKeyIndexEntry(view, 40), expected)
    }),
  )
})

test('the time difference of a key index entry is clipped to an int', () => {
  const view = viewOf(Buffer.alloc(20))
  writeKeyIndexEntry(view, 0, 1, 2, -5, 0)
  assert.equal(readKeyIndexEntry(view, 0).timeDifferenceSeconds, 0)
  writeKeyIndexEntry(view, 0, 1, 2, 2 ** 40, 0)
  assert.equal(readKeyIndexEntry(view, 0).timeDifferenceSeconds, 2 ** 31 - 1)
})

test('file names are 20 digits', () => {
  assert.equal(fileNameOfOffset(1048576), '00000000000001048576')
  assert.equal(offsetOfFileName('00000000000001048576'), 1048576)
  for (const name of ['1048576', '0000000000000104857x', '99999999999999999999', '']) {
    assert.equal(offsetOfFileName(name), undefined)
  }
})
