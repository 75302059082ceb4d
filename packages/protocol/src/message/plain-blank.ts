/**
 * The blank that ends a file of a plain commit log which has no room for the next message
 * (reference rocketmq-store.md §1): how many bytes it stands for, and a magic; the rest is unused.
 */
import { PLAIN_LOG_BLANK_MAGIC } from './layout.ts'

export const PLAIN_LOG_BLANK_BYTES = 8

/** `sizeBytes`: from `at` to the end of the file. */
export function writePlainLogBlank(bytes: Buffer, at: number, sizeBytes: number): void {
  bytes.writeInt32BE(sizeBytes, at)
  bytes.writeInt32BE(PLAIN_LOG_BLANK_MAGIC, at + 4)
}

/** Whether a blank of this size stands at `at`, where its bytes must be. */
export function isPlainLogBlank(bytes: Buffer, at: number, sizeBytes: number): boolean {
  return bytes.readInt32BE(at + 4) === PLAIN_LOG_BLANK_MAGIC && bytes.readInt32BE(at) === sizeBytes
}
