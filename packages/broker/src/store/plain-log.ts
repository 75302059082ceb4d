/**
 * Files of Apache's plain format (rocketmq-store.md §1, §6.4), for reading: the commit log from
 * before DLedger mode, which lies below the Raft log, or the whole log of a broker in plain mode,
 * which grows. Owns the divided position, the end of the one and the beginning of the Raft log;
 * nothing is ever written here, files only go when retention removes the oldest.
 */
import { closeSync, existsSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { onDisk, syncDirectory } from '@ringledger/base/internal'
import { offsetOfFileName } from '@ringledger/protocol'

export interface PlainLogFile {
  readonly path: string
  /** Of its first byte. */
  readonly position: number
  readonly sizeBytes: number
}

const MAX_OPEN_FILES = 4
/** Behind every message. */
const NOWHERE: number = Number.MAX_SAFE_INTEGER

/** A log that is being written. */
export interface GrowingLog {
  readonly directories: string
  /** Nothing from here on is read. */
  endPosition(): number
}

/** `directories`: storePathCommitLog, several joined by commas as Apache has it. */
export function plainLogFiles(directories: string): PlainLogFile[] {
  const files: PlainLogFile[] = []
  for (const directory of directories.split(',')) {
    if (!existsSync(directory)) continue
    for (const name of readdirSync(directory)) {
      const position = offsetOfFileName(name)
      const path = join(directory, name)
      if (position !== undefined) files.push({ path, position, sizeBytes: statSync(path).size })
    }
  }
  return files.sort((left, right) => left.position - right.position)
}

export class PlainLog {
  /** Where the plain part ends and the Raft log begins; behind everything if there is none. */
  readonly dividedPosition: number
  readonly #growing: GrowingLog | undefined
  /** Positions of gaps that were reported already. */
  readonly reported: Set<number> = new Set()
  readonly #files: PlainLogFile[]
  /** Descriptors by path, in order of last use. */
  readonly #open = new Map<string, number>()

  constructor(files: readonly PlainLogFile[], dividedPosition: number, growing?: GrowingLog) {
    this.dividedPosition = dividedPosition
    this.#growing = growing
    this.#files = files.filter(({ position }) => position < dividedPosition)
  }

  /** The log of a broker in plain mode. */
  static growing(growing: GrowingLog): PlainLog {
    return new PlainLog(plainLogFiles(growing.directories), NOWHERE, growing)
  }

  /** There is no Raft log: this is the whole log, and it grows. */
  get grows(): boolean {
    return this.#growing !== undefined
  }

  /** What lies below may be read. */
  get endPosition(): number {
    return this.#growing?.endPosition() ?? this.dividedPosition
  }

  /** The files that are left, oldest first. */
  get files(): readonly PlainLogFile[] {
    return this.#files
  }

  /** Of the oldest file; the end when none is left. */
  get firstPosition(): number {
    return this.#files[0]?.position ?? this.endPosition
  }

  fileAt(position: number): PlainLogFile | undefined {
    const last = this.#files.at(-1)
    const isBehind = last === undefined || position >= last.position + last.sizeBytes
    if (isBehind && position < this.endPosition) this.#takeNewFiles(last)
    return this.#knownFileAt(position)
  }

  #knownFileAt(position: number): PlainLogFile | undefined {
    let low = 0
    let high = this.#files.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#files[middle]!.position <= position) low = middle + 1
      else high = middle
    }
    const file = this.#files[low - 1]
    return file !== undefined && position < file.position + file.sizeBytes ? file : undefined
  }

  /**
   * Where the next file behind `position` begins: the next one of the plain log, or its end.
   */
  nextFileFrom(position: number): number {
    return this.#files.find((file) => file.position >= position)?.position ?? this.endPosition
  }

  /** Up to `maxBytes`, not beyond the file's end; 0 where no file is. */
  read(position: number, target: Uint8Array, offset: number, maxBytes: number): number {
    const file = this.fileAt(position)
    if (file === undefined) return 0
    const at = position - file.position
    const sizeBytes = Math.min(maxBytes, file.sizeBytes - at, this.endPosition - position)
    if (sizeBytes <= 0) return 0
    return onDisk(`read of ${file.path}`, () =>
      readSync(this.#descriptorOf(file.path), target, offset, sizeBytes, at),
    )
  }

  /**
   * Retention: deletes the oldest file, durably, and returns where the log begins then. The caller
   * moves the log's first position there (`BrokerStore.logFirstPosition`) before it deletes.
   */
  removeOldest(): number {
    const file = this.#files.shift()
    if (file === undefined) return this.firstPosition
    this.#close(file.path)
    onDisk(`removal of ${file.path}`, () => {
      rmSync(file.path)
      syncDirectory(dirname(file.path))
    })
    return this.firstPosition
  }

  /** Deletes the files that end at or below `position`, oldest first. */
  removeBelow(position: number): void {
    for (;;) {
      const oldest = this.#files[0]
      if (oldest === undefined || oldest.position + oldest.sizeBytes > position) return
      this.removeOldest()
    }
  }

  close(): void {
    for (const path of [...this.#open.keys()]) this.#close(path)
  }

  /** The broker began them since. */
  #takeNewFiles(last: PlainLogFile | undefined): void {
    if (this.#growing === undefined) return
    const from = last === undefined ? 0 : last.position + last.sizeBytes
    for (const file of plainLogFiles(this.#growing.directories)) {
      if (file.position >= from) this.#files.push(file)
    }
  }

  #descriptorOf(path: string): number {
    const known = this.#open.get(path)
    this.#open.delete(path)
    const descriptor = known ?? openSync(path, 'r')
    this.#open.set(path, descriptor)
    for (const old of this.#open.keys()) {
      if (this.#open.size <= MAX_OPEN_FILES) break
      this.#close(old)
    }
    return descriptor
  }

  #close(path: string): void {
    const descriptor = this.#open.get(path)
    if (descriptor === undefined) return
    this.#open.delete(path)
    closeSync(descriptor)
  }
}
