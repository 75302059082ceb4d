/** CRC-32 by length: what a header, a message, a group costs, and where zlib begins to pay. */
import assert from 'node:assert/strict'
import { crc32 as zlibCrc32 } from 'node:zlib'
import { crc32, crc32OfShort } from '@ringledger/protocol'
import type { MicroBench, Operation } from '../micro-bench.ts'

const LENGTHS: readonly number[] = [44, 128, 256, 1024, 4096, 128 * 1024]
/** The table is only ever used for short ranges. */
const TABLE_LENGTHS: readonly number[] = [44, 128, 256]

function lengthText(sizeBytes: number): string {
  return sizeBytes < 1024 ? `${sizeBytes} B` : `${sizeBytes / 1024} KiB`
}

/** Kept, so that no call can be left out as useless. */
let last = 0

function operation(
  name: string,
  sizeBytes: number,
  checksum: (bytes: Buffer, start: number, end: number) => number,
): Operation {
  const bytes = Buffer.alloc(sizeBytes + 1)
  for (let at = 0; at < bytes.length; at++) bytes[at] = at * 31
  return {
    name: `${name}, ${lengthText(sizeBytes)}`,
    batch: sizeBytes > 64 * 1024 ? 8 : 1024,
    bytes: sizeBytes,
    run: (count) => {
      for (let index = 0; index < count; index++) last = checksum(bytes, 1, 1 + sizeBytes)
    },
    check: () => assert.equal(checksum(bytes, 1, 1 + sizeBytes), zlibCrc32(bytes.subarray(1))),
  }
}

export const bench: MicroBench = {
  title: 'CRC-32: table and zlib, by length',
  open: () => ({
    operations: [
      ...LENGTHS.map((length) => operation('crc32', length, crc32)),
      ...TABLE_LENGTHS.map((length) =>
        operation('crc32OfShort (table)', length, (bytes, start, end) =>
          crc32OfShort(bytes, start, end, 0),
        ),
      ),
    ],
    close: () => assert.notEqual(last, 0),
  }),
}
