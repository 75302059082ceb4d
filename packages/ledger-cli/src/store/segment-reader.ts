/**
 * Reads one stream (data or index) of a stopped store from its files. Owns nothing on disk and
 * changes nothing; a place without a file reads as absent.
 */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileNameOfOffset, offsetOfFileName } from '@ringledger/protocol'

export interface SegmentFile {
  readonly base: number
  readonly sizeBytes: number
}

export class SegmentReader {
  readonly directory: string
  /** In order; of one size, unless {@link oddSizes} names some. */
  readonly files: readonly SegmentFile[]
  readonly segmentBytes: number
  /** Names in the directory that are no segment. */
  readonly strangers: readonly string[]
  #openBase = -1
  #descriptor = -1

  /** `segmentBytes`: the size all files should have; by default that of the first one. */
  constructor(directory: string, segmentBytes?: number) {
    this.directory = directory
    const names = list(directory)
    const isSegment = (name: string): boolean => offsetOfFileName(name) !== undefined
    this.strangers = names.filter((name) => !isSegment(name))
    this.files = names.filter(isSegment).map((name) => ({
      base: offsetOfFileName(name)!,
      sizeBytes: statSync(join(directory, name)).size,
    }))
    this.segmentBytes = segmentBytes ?? this.files[0]?.sizeBytes ?? 0
  }

  /** Of the first byte that a file has. */
  get firstPosition(): number {
    return this.files[0]?.base ?? 0
  }

  /** Behind the last file. */
  get endPosition(): number {
    const last = this.files.at(-1)
    return last === undefined ? 0 : last.base + this.segmentBytes
  }

  /** Files of another size than they should have. */
  get oddSizes(): readonly SegmentFile[] {
    return this.files.filter(({ sizeBytes }) => sizeBytes !== this.segmentBytes)
  }

  /** Positions in [firstPosition, endPosition) that no file has, each with where files go on. */
  get gaps(): { from: number; to: number }[] {
    const gaps: { from: number; to: number }[] = []
    let expected = this.firstPosition
    for (const { base } of this.files) {
      if (base > expected) gaps.push({ from: expected, to: base })
      expected = base + this.segmentBytes
    }
    return gaps
  }

  /** `data/00000000000000000000`, for a message. */
  nameAt(position: number): string {
    const base = position - (position % this.segmentBytes)
    return join(basename(this.directory), fileNameOfOffset(base))
  }

  /** Reads within one file; returns how many bytes were there. */
  readAt(position: number, target: Buffer, sizeBytes: number): number {
    const inSegment = position % this.segmentBytes
    const base = position - inSegment
    const wanted = Math.min(sizeBytes, this.segmentBytes - inSegment)
    if (wanted <= 0 || !this.#open(base)) return 0
    let done = 0
    while (done < wanted) {
      const count = readSync(this.#descriptor, target, done, wanted - done, inSegment + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  close(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor)
    this.#descriptor = -1
    this.#openBase = -1
  }

  #open(base: number): boolean {
    if (base === this.#openBase) return true
    this.close()
    if (!this.files.some((file) => file.base === base)) return false
    this.#descriptor = openSync(join(this.directory, fileNameOfOffset(base)), 'r')
    this.#openBase = base
    return true
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
