/**
 * The key index: from `topic#key` to the physical offsets of messages, in Apache's files
 * (rocketmq-store.md §2.4), for UNIQ_KEY and each of KEYS. Tags (`topic#T#TAGS`, Apache 5.4 only)
 * are left out: one busy tag is an endless chain. Owns the directory `index`. Only the newest file
 * is written; a full one is flushed, then only read.
 */
import {
  closeSync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { onDisk, onSync, syncDirectory } from '@ringledger/base/internal'
import {
  KEY_INDEX_DEFAULT_ENTRIES,
  KEY_INDEX_DEFAULT_SLOTS,
  type KeyIndexEntry,
  type KeyIndexHeader,
  keyIndexFileBytes,
  keyIndexHash,
  keyIndexKey,
} from '@ringledger/protocol'
import { isIndexFileName, nextIndexFileName } from './index-file-name.ts'
import { cutIndexFile, readHeader, readHeaderOf } from './index-recovery.ts'
import { type IndexShape, IndexWriter, searchFile } from './index-writer.ts'

/**
 * Entries looked at per query: a chain holds every key of its slot, and foreign files may hold very
 * long ones.
 */
const MAX_CHAIN_STEPS = 100_000

export interface KeyIndexOptions {
  /** `<storePathRootDir>/index` */
  directory: string
  /** maxHashSlotNum */
  slots?: number
  /** maxIndexNum */
  entries?: number
  nowMs?: () => number
  log?: (line: string) => void
}

/**
 * How far the index was at some moment: the newest file ('' if none) and the number of its next
 * entry.
 */
export interface IndexMark {
  fileName: string
  indexCount: number
}

export class KeyIndex {
  readonly #directory: string
  readonly #shape: IndexShape
  readonly #nowMs: () => number
  readonly #log: (line: string) => void
  /** Oldest first; the last one is the writer's, if there is a writer. */
  #names: string[] = []
  #writer: IndexWriter | undefined
  #unsynced = new Set<string>()
  #syncing: string[] = []

  constructor(options: KeyIndexOptions) {
    this.#directory = options.directory
    this.#shape = {
      slots: options.slots ?? KEY_INDEX_DEFAULT_SLOTS,
      entries: options.entries ?? KEY_INDEX_DEFAULT_ENTRIES,
    }
    this.#nowMs = options.nowMs ?? Date.now
    this.#log = options.log ?? (() => {})
    if (this.#shape.slots < 1 || this.#shape.entries < 2) {
      throw new LedgerError('BAD_CONFIG', 'maxHashSlotNum is at least 1 and maxIndexNum at least 2')
    }
    onDisk('key index', () => mkdirSync(this.#directory, { recursive: true }))
  }

  get lastUpdateTimestampMs(): number {
    return this.#writer?.header.endTimestampMs ?? 0
  }

  get lastUpdatePhysicalOffset(): number {
    return this.#writer?.header.endPhysicalOffset ?? 0
  }

  get memoryBytes(): number {
    return this.#writer?.memoryBytes ?? 0
  }

  get mark(): IndexMark {
    const writer = this.#writer
    if (writer === undefined) return { fileName: '', indexCount: 0 }
    return { fileName: this.#names.at(-1)!, indexCount: writer.header.indexCount }
  }

  /**
   * Before anything else: takes over the files as they were at `mark`; what came later is dropped.
   * `pagesTrusted`: the machine did not go down since. Throws LedgerError `CORRUPT` when the files
   * do not have what the mark says: `clear`.
   */
  recover(mark: IndexMark, pagesTrusted: boolean): void {
    const names = readdirSync(this.#directory).filter(isIndexFileName).sort()
    for (const name of names) if (name > mark.fileName) this.#remove(name)
    this.#names = names.filter((name) => name <= mark.fileName)
    if (mark.fileName === '') return
    if (this.#names.at(-1) !== mark.fileName) {
      throw new LedgerError('CORRUPT', `index file ${mark.fileName} is missing`)
    }
    const path = this.#pathOf(mark.fileName)
    const { slots, entries } = this.#shape
    if (statSync(path).size !== keyIndexFileBytes(slots, entries)) {
      throw new LedgerError(
        'CORRUPT',
        `${path} was made with another maxHashSlotNum or maxIndexNum`,
      )
    }
    const header = cutIndexFile(path, slots, entries, mark.indexCount, pagesTrusted)
    this.#writer = new IndexWriter(path, this.#shape, header)
  }

  /** Removes every file of the index. */
  clear(): void {
    this.abandon()
    this.#names = []
    this.#unsynced.clear()
    this.#syncing = []
    for (const name of readdirSync(this.#directory)) if (isIndexFileName(name)) this.#remove(name)
  }

  /** Adds one key of a message; `keyHash` as `keyIndexHash` gives it. */
  put(keyHash: number, physicalOffset: number, storeTimestampMs: number): void {
    let writer = this.#writer
    if (writer === undefined || writer.isFull) writer = this.#roll()
    writer.put(keyHash, physicalOffset, storeTimestampMs)
  }

  /**
   * Physical offsets of messages whose key has the same hash, newest first, stored between
   * `beginMs` and `endMs` (to the second, so a neighbour may slip in). The caller reads the
   * messages and compares topic, key and time.
   */
  query(topic: string, key: string, maxNum: number, beginMs: number, endMs: number): number[] {
    return this.hashQuery(keyIndexHash(keyIndexKey(topic, key)), maxNum, beginMs, endMs)
  }

  /** The same for a key's hash. */
  hashQuery(
    keyHash: number,
    maxNum: number = Number.MAX_SAFE_INTEGER,
    beginMs = 0,
    endMs: number = Number.MAX_SAFE_INTEGER,
  ): number[] {
    const search = { keyHash, beginMs, endMs, maxNum, found: [], stepsLeft: MAX_CHAIN_STEPS }
    for (let at = this.#names.length - 1; at >= 0 && search.found.length < maxNum; at--) {
      const isNewest = at === this.#names.length - 1
      const writer = isNewest ? this.#writer : undefined
      if (writer === undefined) this.#searchFile(this.#names[at]!, search)
      else if (mayHold(writer.header, search)) {
        writer.search(search.keyHash, (entry) => take(entry, writer.header, search))
      }
    }
    return search.found
  }

  /**
   * Deletes the oldest file if all its messages lie below `position`; never the last one. False:
   * nothing was deleted.
   */
  removeOldestFile(position: number): boolean {
    const name = this.#names[0]
    if (name === undefined || this.#names.length < 2) return false
    const path = this.#pathOf(name)
    const header = readHeaderOf(path)
    if (header.endPhysicalOffset >= position) return false
    this.#remove(name)
    this.#names.shift()
    this.#unsynced.delete(path)
    this.#syncing = this.#syncing.filter((other) => other !== path)
    return true
  }

  beginFlush(): void {
    this.#writer?.beginFlush()
  }

  /** Hands a little to the kernel, some microseconds per step; true while more is left. */
  flushStep(steps: number): boolean {
    const writer = this.#writer
    if (writer === undefined) return false
    this.#unsynced.add(writer.path)
    return writer.flushStep(steps)
  }

  flush(): void {
    this.beginFlush()
    while (this.flushStep(1024));
  }

  beginSync(): void {
    this.#syncing = [...this.#unsynced]
    this.#unsynced.clear()
  }

  /** Syncs one file; true while more are left. */
  syncStep(): boolean {
    const path = this.#syncing.pop()
    if (path === undefined) return false
    if (path === this.#writer?.path) this.#writer.sync()
    else onSync(`sync of ${path}`, () => syncFile(path))
    if (this.#syncing.length === 0) syncDirectory(this.#directory)
    return this.#syncing.length > 0
  }

  /** `flush`, and waits until it is on the disk. */
  sync(): void {
    while (this.syncStep());
    this.flush()
    this.beginSync()
    while (this.syncStep());
  }

  close(): void {
    this.#writer?.flush()
    this.abandon()
  }

  /** Closes the newest file and writes nothing. */
  abandon(): void {
    this.#writer?.abandon()
    this.#writer = undefined
  }

  #roll(): IndexWriter {
    const full = this.#writer
    let end = { timestampMs: 0, physicalOffset: 0 }
    if (full !== undefined) {
      full.flush()
      this.#unsynced.add(full.path)
      const { endTimestampMs, endPhysicalOffset } = full.header
      end = { timestampMs: endTimestampMs, physicalOffset: endPhysicalOffset }
    }
    const name = nextIndexFileName(this.#nowMs(), this.#names.at(-1))
    const writer = new IndexWriter(this.#pathOf(name), this.#shape, {
      beginTimestampMs: end.timestampMs,
      endTimestampMs: end.timestampMs,
      beginPhysicalOffset: end.physicalOffset,
      endPhysicalOffset: end.physicalOffset,
      slotCount: 0,
      indexCount: 1,
    })
    // Until here a lack of space leaves everything as it was.
    full?.abandon()
    this.#names.push(name)
    this.#writer = writer
    return writer
  }

  #searchFile(name: string, search: Search): void {
    const path = this.#pathOf(name)
    const { slots, entries } = this.#shape
    onDisk(`query in ${path}`, () => {
      const descriptor = openSync(path, 'r')
      try {
        if (statSync(path).size !== keyIndexFileBytes(slots, entries)) {
          this.#log(`${path} was made with another maxHashSlotNum or maxIndexNum; not searched`)
          return
        }
        const header = readHeader(descriptor)
        if (!mayHold(header, search)) return
        searchFile(descriptor, slots, search.keyHash, header.indexCount, (entry) =>
          take(entry, header, search),
        )
      } finally {
        closeSync(descriptor)
      }
    })
  }

  #remove(name: string): void {
    onDisk(`removal of index file ${name}`, () => rmSync(this.#pathOf(name)))
  }

  #pathOf(name: string): string {
    return join(this.#directory, name)
  }
}

interface Search {
  keyHash: number
  beginMs: number
  endMs: number
  maxNum: number
  found: number[]
  stepsLeft: number
}

function mayHold(header: KeyIndexHeader, search: Search): boolean {
  return header.endTimestampMs + 1000 > search.beginMs && header.beginTimestampMs <= search.endMs
}

/** False when the search is over in this file: enough was found, or older entries are too old. */
function take(entry: KeyIndexEntry, header: KeyIndexHeader, search: Search): boolean {
  const { found } = search
  const storedFromMs = header.beginTimestampMs + entry.timeDifferenceSeconds * 1000
  if (storedFromMs + 1000 <= search.beginMs) return false
  const isMatch = entry.keyHash === search.keyHash && storedFromMs <= search.endMs
  if (isMatch && !found.includes(entry.physicalOffset)) found.push(entry.physicalOffset)
  return found.length < search.maxNum && --search.stepsLeft > 0
}

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r+')
  try {
    fdatasyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
