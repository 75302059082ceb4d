/**
 * `upgrade-adopt.json` in a store's root: the old part is being replaced. While it is there no
 * broker of ours starts on the store. Owns its shape; it is written whole, atomically, and durable
 * on return.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { replaceFile, syncDirectory } from '@ringledger/base/internal'

/** The broker's `adopt-guard.ts` has this name, too: its start is not to load this package. */
export const ADOPT_MARKER = 'upgrade-adopt.json'
const VERSION = 1

/** A file that was copied whole, synced, and read back. */
export interface CopiedFile {
  readonly name: string
  readonly sizeBytes: number
  /** Of the source's file, to notice that it was changed. */
  readonly mtimeMs: number
  /** xxhash64 of the whole file, 16 hexadecimal digits. */
  readonly digest: string
}

/** How far a run got. */
export interface Adoption {
  readonly version: typeof VERSION
  /** Directory of log files that is copied. */
  readonly from: string
  /** Ends the names of what is kept aside. */
  readonly stamp: string
  /** While copying nothing of the store was touched; swapping is only names. */
  readonly state: 'copying' | 'swapping'
  readonly files: readonly CopiedFile[]
}

export class MarkerFile {
  readonly #path: string

  constructor(root: string) {
    this.#path = join(root, ADOPT_MARKER)
  }

  /** @throws LedgerError CORRUPT for one that cannot be read */
  read(): Adoption | undefined {
    if (!existsSync(this.#path)) return undefined
    try {
      const found = JSON.parse(readFileSync(this.#path, 'utf8')) as Adoption
      if (found.version === VERSION) return found
    } catch {}
    throw new LedgerError('CORRUPT', `${this.#path} cannot be read, or is of another version`)
  }

  write(adoption: Omit<Adoption, 'version'>): void {
    replaceFile(this.#path, Buffer.from(JSON.stringify({ version: VERSION, ...adoption })))
  }

  remove(): void {
    rmSync(this.#path)
    syncDirectory(dirname(this.#path))
  }
}
