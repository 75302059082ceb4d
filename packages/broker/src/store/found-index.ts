/**
 * A key index that another broker left: finds out what of it can be gone on with. Owns the check
 * that no file is missing: between two files, and before the first one, no message has a key.
 */
import { closeSync, existsSync, openSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { onDisk } from '@ringledger/base/internal'
import { type KeyIndexHeader, keyIndexFileBytes } from '@ringledger/protocol'
import { isIndexFileName } from './index-file-name.ts'
import { readHeaderOf } from './index-recovery.ts'
import { type IndexShape, readEntryAt } from './index-writer.ts'
import type { IndexMark } from './key-index.ts'

interface FoundFile {
  readonly name: string
  readonly header: KeyIndexHeader
}

/** A stretch of the log; `isBehind`: the message at `from` itself is indexed. */
export interface Unindexed {
  readonly from: number
  readonly to: number
  readonly isBehind: boolean
}

export class FoundIndex {
  readonly #directory: string
  readonly #slots: number
  readonly #files: readonly FoundFile[]

  private constructor(directory: string, slots: number, files: readonly FoundFile[]) {
    this.#directory = directory
    this.#slots = slots
    this.#files = files
  }

  /** Undefined when there is none, or none of that shape. */
  static open(directory: string, { slots, entries }: IndexShape): FoundIndex | undefined {
    const names = existsSync(directory) ? readdirSync(directory).filter(isIndexFileName) : []
    const files = names.sort().map((name) => {
      const path = join(directory, name)
      const isOfShape = statSync(path).size === keyIndexFileBytes(slots, entries)
      return isOfShape ? { name, header: readHeaderOf(path) } : name
    })
    if (!files.every((file) => typeof file !== 'string')) return undefined
    const used = files.filter(({ header }) => header.indexCount > 1)
    const isSound = used.every(({ header }, at) => {
      const { beginPhysicalOffset, endPhysicalOffset, indexCount } = header
      const before = used[at - 1]?.header.endPhysicalOffset ?? 0
      const isOrdered = beginPhysicalOffset >= before && endPhysicalOffset >= beginPhysicalOffset
      return isOrdered && indexCount <= entries
    })
    return used.length > 0 && isSound ? new FoundIndex(directory, slots, used) : undefined
  }

  /** The last message that has keys here; perhaps not all of them. */
  get lastOffset(): number {
    return this.#files.at(-1)!.header.endPhysicalOffset
  }

  /** Parts of the log from `first` up to the last message that no file reaches over. */
  unindexed(first: number): Unindexed[] {
    const found: Unindexed[] = []
    let before: number | undefined
    for (const { header } of this.#files) {
      const from = before ?? first
      const to = header.beginPhysicalOffset
      if (to > from && from >= first) found.push({ from, to, isBehind: before !== undefined })
      before = header.endPhysicalOffset
    }
    return found
  }

  /** How far the index was when the message at `position` was yet to come. */
  markBelow(position: number): IndexMark {
    for (const { name, header } of this.#files.toReversed()) {
      if (header.beginPhysicalOffset >= position) continue
      const path = join(this.#directory, name)
      const indexCount = onDisk(`entries of ${path}`, () =>
        this.#countBelow(path, header, position),
      )
      if (indexCount > 1) return { fileName: name, indexCount }
    }
    return { fileName: '', indexCount: 0 }
  }

  #countBelow(path: string, { indexCount }: KeyIndexHeader, position: number): number {
    const descriptor = openSync(path, 'r')
    try {
      let low = 1
      let high = indexCount
      while (low < high) {
        const middle = (low + high) >>> 1
        const { physicalOffset } = readEntryAt(descriptor, middle, this.#slots)
        if (physicalOffset < position) low = middle + 1
        else high = middle
      }
      return low
    } finally {
      closeSync(descriptor)
    }
  }
}
