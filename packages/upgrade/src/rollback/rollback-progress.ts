/**
 * How far a rollback got, beside what it builds, so that a killed one is taken up. Owns the rule
 * that progress of another source, or of one that was changed since, is never used.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { replaceFile } from '@ringledger/base/internal'
import type { RaftPlace } from './log-walks.ts'
import type { RollbackSource } from './rollback-source.ts'
import type { MovedMessage, RollbackReport } from './rollback-types.ts'

/** Stays in the new store: where it comes from. Brokers do not look at it. */
const NAME = 'ringledger-rollback.json'
const VERSION = 1

/** Everything counted so far. */
export interface Tally {
  messages: number
  unmovedMessages: number
  stateRecords: number
  firstMoved?: MovedMessage
}

export interface Progress {
  readonly version: typeof VERSION
  readonly source: string
  /** Names, lengths and times of the source's log files. */
  readonly files: string
  /** Next message of the plain part; the divided offset once that is copied. */
  readonly plainPosition: number
  readonly raft: RaftPlace
  readonly endOffset: number
  readonly tally: Tally
  readonly mark: unknown
  /** Set when only the new name is missing. */
  readonly report?: RollbackReport
}

export type NewProgress = Omit<Progress, 'version' | 'source' | 'files'>

export class ProgressFile {
  readonly #path: string
  readonly #source: RollbackSource
  readonly #files: string

  constructor(directory: string, source: RollbackSource) {
    this.#path = join(directory, NAME)
    this.#source = source
    this.#files = fingerprint(source)
  }

  /** Undefined when there is none that can be used; `why` says so if there is one. */
  read(): { progress?: Progress; why?: string } {
    if (!existsSync(this.#path)) return {}
    let found: Partial<Progress>
    try {
      found = JSON.parse(readFileSync(this.#path, 'utf8'))
    } catch {
      return { why: `${this.#path} cannot be read` }
    }
    if (found.version !== VERSION) return { why: 'it was begun by another version' }
    if (found.source !== resolve(this.#source.root)) return { why: `it is of ${found.source}` }
    if (found.files !== this.#files) return { why: 'the source was changed since' }
    return { progress: found as Progress }
  }

  /** Atomic and durable. */
  write(progress: NewProgress): void {
    const text = JSON.stringify({
      version: VERSION,
      source: resolve(this.#source.root),
      files: this.#files,
      ...progress,
    })
    replaceFile(this.#path, Buffer.from(text))
  }

  /** Whether the source is what it was when this file was opened. */
  get sourceIsUnchanged(): boolean {
    return fingerprint(this.#source) === this.#files
  }
}

function fingerprint(source: RollbackSource): string {
  return [...source.plain, ...source.raft]
    .map(({ path }) => {
      const { size, mtimeMs } = statSync(path)
      return `${path} ${size} ${mtimeMs}`
    })
    .join('\n')
}
