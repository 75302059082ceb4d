/**
 * The files that hold the log, as retention sees them: those of the plain log from before DLedger
 * first, then the data segments of the Raft log; in plain mode those of the plain log alone. Owns
 * the rule that they go oldest first.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { offsetOfFileName } from '@ringledger/protocol'
import type { CorePort } from './core-port-api.ts'
import type { PlainLog } from './store/plain-log.ts'

export interface LogSegment {
  /** Position behind its last byte. */
  readonly endPosition: number
  /** When it was last written to, as its file system says. */
  readonly modifiedMs: number
}

export interface LogSegments {
  /** Oldest first; the last one is being written. */
  list(): LogSegment[]
  /** Deletes the segments that end at or below `position`, perhaps a little later. */
  removeBelow(position: number): void
}

/** Of a broker in plain mode. */
export class PlainLogSegments implements LogSegments {
  readonly #plain: PlainLog

  constructor(plain: PlainLog) {
    this.#plain = plain
  }

  list(): LogSegment[] {
    return segmentsOf(this.#plain)
  }

  removeBelow(position: number): void {
    this.#plain.removeBelow(position)
  }
}

export interface LogFileSegmentsParts {
  /** Of the data segments. */
  readonly directory: string
  readonly segmentBytes: number
  readonly plain: PlainLog | undefined
  readonly port: Pick<CorePort, 'trim'>
}

export class LogFileSegments implements LogSegments {
  readonly #parts: LogFileSegmentsParts

  constructor(parts: LogFileSegmentsParts) {
    this.#parts = parts
  }

  list(): LogSegment[] {
    const { plain } = this.#parts
    return [...(plain === undefined ? [] : segmentsOf(plain)), ...this.#dataSegments()]
  }

  removeBelow(position: number): void {
    const { plain, port } = this.#parts
    plain?.removeBelow(position)
    if (plain === undefined || position > plain.dividedPosition) port.trim(position)
  }

  #dataSegments(): LogSegment[] {
    const { directory, segmentBytes } = this.#parts
    const segments: LogSegment[] = []
    for (const name of readdirSync(directory).sort()) {
      const firstPosition = offsetOfFileName(name)
      const stats = statSync(join(directory, name), { throwIfNoEntry: false })
      if (firstPosition === undefined || stats === undefined) continue
      segments.push({ endPosition: firstPosition + segmentBytes, modifiedMs: stats.mtimeMs })
    }
    return segments
  }
}

function segmentsOf(plain: PlainLog): LogSegment[] {
  return plain.files.map(({ path, position, sizeBytes }) => ({
    endPosition: position + sizeBytes,
    modifiedMs: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY,
  }))
}
