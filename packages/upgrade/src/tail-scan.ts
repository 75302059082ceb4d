/** Digests the newest messages of a file one by one. */
import { closeSync, openSync } from 'node:fs'
import { readFully } from '@ringledger/base/internal'
import { msgTotalSize } from '@ringledger/protocol'
import type { FileReport, Mark } from './report.ts'

export interface TailRequest {
  readonly path: string
  readonly file: FileReport
}

/**
 * The messages from the one that holds the last mark but one up to the end of data, hence at most
 * two marks' worth; none where damage lies among them.
 */
export function scanTail({ path, file }: TailRequest, digest: (bytes: Buffer) => string): Mark[] {
  const boundaries = file.marks.flatMap(({ messageAt }) => messageAt ?? [])
  const from = boundaries.at(-2) ?? file.offset
  if (file.damage.some(({ resumesAt }) => resumesAt !== undefined && resumesAt > from)) return []
  const bytes = Buffer.alloc(file.endOffset - from)
  const descriptor = openSync(path, 'r')
  try {
    readFully(descriptor, bytes, 0, bytes.length, from - file.offset, `read of ${path}`)
  } finally {
    closeSync(descriptor)
  }
  const tail: Mark[] = []
  for (let at = 0; at < bytes.length; ) {
    const sizeBytes = msgTotalSize(bytes, at)
    tail.push({ offset: from + at, digest: digest(bytes.subarray(at, at + sizeBytes)) })
    at += sizeBytes
  }
  return tail
}
