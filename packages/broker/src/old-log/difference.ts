/** Says in an operator's words from which message on two copies of the old commit log differ. */
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeFully } from '@ringledger/base/internal'
import { type Difference, firstDifference, type MessageNote } from '@ringledger/upgrade'
import { plainLogFiles } from '../store/plain-log.ts'
import type { CopyState } from './copy.ts'
import { MAX_READ_BYTES } from './copy-messages.ts'
import type { Relation } from './decide.ts'

export interface DifferenceOptions {
  readonly directory: string
  readonly own: CopyState
  readonly other: CopyState
  /** Who has the other copy. */
  readonly than: string
  readonly verdict: Relation
  /** Bytes of the other copy; waits for its member. */
  read(position: number, sizeBytes: number): Promise<Buffer>
  /** How long to wait. */
  readonly limitMs: number
}

/** What stands behind `this copy of the old commit log cannot join its group: `. */
export async function describeDifference(options: DifferenceOptions): Promise<string> {
  const { own, other, than, verdict } = options
  switch (verdict.kind) {
    case 'ahead':
      return (
        `it has messages that the copy of ${than}, with which the group has begun, has not: it ends at ` +
        `${own.report.endOffset}, that at ${other.report.endOffset}`
      )
    case 'otherSegments':
      return `its files have ${own.report.segmentBytes} bytes, those of ${than} ${other.report.segmentBytes}`
    case 'different':
      return `it differs from that of ${than} ${await placeOf(options)}`
    default:
      return `it cannot be told from that of ${than} (${verdict.kind})`
  }
}

async function placeOf(options: DifferenceOptions): Promise<string> {
  const { verdict, than } = options
  if (verdict.kind !== 'different') return ''
  const inFile = `in ${verdict.file}, from position ${verdict.fromOffset} on`
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), options.limitMs)
  })
  const difference = await Promise.race([findDifference(options).catch(() => undefined), tooLate])
  clearTimeout(timer)
  if (difference === undefined) return inFile
  const { first, second, offset, part } = difference
  const here = first === undefined ? 'no message' : noteText(first)
  const there = second === undefined ? 'no message' : noteText(second)
  const what = here === there ? `${here}, in its ${part}` : `${here} here, ${there} at ${than}`
  return `in ${verdict.file}, at position ${offset}, from this message on: ${what}`
}

/** Fetches the part of the file in which the digests differ, and compares message by message. */
async function findDifference(options: DifferenceOptions): Promise<Difference | undefined> {
  const { directory, own, other, verdict, read } = options
  if (verdict.kind !== 'different') return undefined
  const file = own.report.files.find(({ name }) => name === verdict.file)
  const theirs = other.report.files.find(({ name }) => name === verdict.file)
  const mine = plainLogFiles(directory).find(({ position }) => position === file?.offset)
  if (file === undefined || theirs === undefined || mine === undefined) return undefined
  const known = file.marks.find((mark) => mark.offset === verdict.fromOffset)
  const from = known?.messageAt ?? file.offset
  const end = Math.min(file.offset + file.sizeBytes, theirs.offset + theirs.sizeBytes)
  const to = Math.min(end, verdict.beforeOffset + MAX_READ_BYTES)
  const scratch = mkdtempSync(join(tmpdir(), 'ringledger-difference-'))
  const path = join(scratch, file.name)
  const descriptor = openSync(path, 'w')
  try {
    for (let at = from; at < to; at += MAX_READ_BYTES) {
      const bytes = await read(at, Math.min(MAX_READ_BYTES, to - at))
      writeFully(descriptor, bytes, 0, bytes.length, at - file.offset, `write of ${path}`)
    }
    const { path: ownPath, position: offset, sizeBytes } = mine
    return firstDifference(
      { path: ownPath, offset, sizeBytes },
      { path, offset, sizeBytes },
      from,
      to,
    )
  } finally {
    closeSync(descriptor)
    rmSync(scratch, { recursive: true })
  }
}

function noteText({ topic, queueId, queueOffset, storeTimeMs }: MessageNote): string {
  const time = new Date(storeTimeMs).toISOString()
  return `topic ${topic}, queue ${queueId}, offset ${queueOffset}, stored ${time}`
}
