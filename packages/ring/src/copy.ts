/**
 * Copies between regions, the cheap way by size. Owns no state: V8 copies small ranges fastest in a
 * loop, while its `set` walks shared memory element by element and `Buffer.copy` is a memmove
 * behind a call of about 50 ns.
 */

/** Below this a loop beats the call into native code. */
const LOOP_MAX_BYTES = 48

/** Copies `sizeBytes` bytes; the ranges may lie in the same region and must not overlap. */
export function copyBytes(
  source: Buffer,
  sourceOffset: number,
  target: Buffer,
  targetOffset: number,
  sizeBytes: number,
): void {
  if (sizeBytes <= LOOP_MAX_BYTES) {
    for (let index = 0; index < sizeBytes; index++) {
      target[targetOffset + index] = source[sourceOffset + index]!
    }
    return
  }
  source.copy(target, targetOffset, sourceOffset, sourceOffset + sizeBytes)
}
