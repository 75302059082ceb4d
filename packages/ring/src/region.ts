/**
 * Allocation of shared memory. Owns the invariant "every region starts on a page": V8 maps a
 * growable buffer by the page and places a plain one anywhere, and direct disk writes need the
 * page. The region never grows, since growable equals max.
 */
import { assert } from '@ringledger/base'
import { PAGE_BYTES } from './layout.ts'

/** A zero-filled, page-aligned region of at least `sizeBytes`, rounded up to whole pages. */
export function allocateRegion(sizeBytes: number): SharedArrayBuffer {
  assert(Number.isSafeInteger(sizeBytes) && sizeBytes > 0, 'a region has a positive whole size')
  const byteLength = Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES
  return new SharedArrayBuffer(byteLength, { maxByteLength: byteLength })
}

/**
 * A view of a whole region. The length is given on purpose: a view of growable memory without one
 * tracks the length, and V8 then takes 40 ns and not 1 ns for each byte.
 */
export function regionBuffer(region: SharedArrayBuffer): Buffer {
  return Buffer.from(region, 0, region.byteLength)
}
