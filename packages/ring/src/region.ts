/**
 * Allocation of shared memory. Owns the invariant "every region starts on a page": V8 maps a growable buffer by the page
 * and places a plain one anywhere, and direct disk writes need the page. The region never grows, since growable equals max.
 */
import { assert } from '@ringledger/base'
import { PAGE_BYTES } from './layout.ts'

/** A zero-filled, page-aligned region of at least `sizeBytes`, rounded up to whole pages. */
export function allocateRegion(sizeBytes: number): SharedArrayBuffer {
  assert(Number.isSafeInteger(sizeBytes) && sizeBytes > 0, 'a region has a positive whole size')
  const byteLength = Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES
  return new SharedArrayBuffer(byteLength, { maxByteLength: byteLength })
}
