/**
 * This node's copy of the old commit log as its peers may ask about it: its report with digests,
 * its bytes, its tables. Reads only. What was found out once is kept, because the files do not
 * change any more.
 */
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { parseLenientJson } from '@ringledger/protocol'
import {
  type FileReport,
  parseReport,
  type StoreReport,
  surveyFile,
  surveyStore,
} from '@ringledger/upgrade'
import type { NodeSettings } from '../node-settings.ts'
import { isObject } from '../state/configs.ts'
import { plainLogFiles } from '../store/plain-log.ts'
import { RECORDS_FILE } from '../take-over-records.ts'
import { type CopyAsk, CopyQuestion } from './copy-messages.ts'

/** What one member says of its copy. */
export interface CopyState {
  /** Its Raft log has begun: its old part is settled. */
  readonly formed: boolean
  readonly report: StoreReport
  /** When each file was modified last, which retention goes by. */
  readonly modifiedMs: Readonly<Record<string, number>>
}

/** Texts of table files, by name. */
export type Tables = Readonly<Record<string, string>>

/** Tables that a group takes over. */
export const TABLE_FILES = [
  'topics.json',
  'subscriptionGroup.json',
  'consumerOffset.json',
  'lmqConsumerOffset.json',
  'delayOffset.json',
] as const

export type CopySettings = Pick<
  NodeSettings,
  'storePathRootDir' | 'storePathCommitLog' | 'storePathDLedgerCommitLog'
>

export class OldLogCopy {
  readonly #settings: CopySettings
  readonly #onProgress: (doneBytes: number, totalBytes: number) => void
  #report: Promise<StoreReport> | undefined

  constructor(
    settings: CopySettings,
    onProgress: (doneBytes: number, totalBytes: number) => void = () => {},
  ) {
    this.#settings = settings
    this.#onProgress = onProgress
  }

  get formed(): boolean {
    return plainLogFiles(this.#settings.storePathDLedgerCommitLog).length > 0
  }

  /** The files changed: what is known of them is forgotten. */
  forget(): void {
    this.#report = undefined
  }

  async state(digestAt: readonly number[]): Promise<CopyState> {
    const report = await this.#withDigests(digestAt)
    const there = plainLogFiles(this.#settings.storePathCommitLog)
    const names = new Map(there.map((file) => [file.position, file.path]))
    const files = report.files.filter(({ offset }) => names.has(offset))
    const modifiedMs: Record<string, number> = {}
    for (const { name, offset } of files) {
      modifiedMs[name] = Math.round(statSync(names.get(offset) as string).mtimeMs)
    }
    // Retention may have taken files since.
    const firstOffset = files[0]?.offset ?? report.endOffset
    return { formed: this.formed, report: { ...report, files, firstOffset }, modifiedMs }
  }

  /** @throws LedgerError BAD_REQUEST, DISK_FAILED */
  async answer(ask: CopyAsk): Promise<Buffer> {
    switch (ask.question) {
      case CopyQuestion.STATE:
        return Buffer.from(JSON.stringify(await this.state(ask.digestAt)))
      case CopyQuestion.READ:
        return await this.#read(ask.position, ask.sizeBytes)
      case CopyQuestion.TABLES:
        return Buffer.from(JSON.stringify(this.tables()))
    }
  }

  /** The texts of the tables; of an unreadable one that of its `.bak`, as Apache does. */
  tables(): Tables {
    const directory = join(this.#settings.storePathRootDir, 'config')
    const texts: Record<string, string> = {}
    for (const name of [...TABLE_FILES, RECORDS_FILE]) {
      for (const path of [join(directory, name), join(directory, `${name}.bak`)]) {
        if (!existsSync(path) || texts[name] !== undefined) continue
        const text = readFileSync(path, 'utf8')
        if (isJson(text)) texts[name] = text
      }
    }
    return texts
  }

  async #withDigests(digestAt: readonly number[]): Promise<StoreReport> {
    this.#report ??= this.#survey(digestAt)
    let report = await this.#report
    for (const file of report.files) {
      const missing = digestAt.filter((offset) => isMissing(file, offset))
      if (missing.length === 0) continue
      const again = await this.#again(file, missing)
      const files = report.files.map((other) => (other.offset === file.offset ? again : other))
      report = { ...report, files }
      this.#report = Promise.resolve(report)
    }
    return report
  }

  #survey(digestAt: readonly number[]): Promise<StoreReport> {
    const { storePathRootDir, storePathCommitLog } = this.#settings
    mkdirSync(storePathRootDir, { recursive: true })
    return surveyStore({
      root: storePathRootDir,
      commitLog: storePathCommitLog,
      digestAt,
      onProgress: this.#onProgress,
    })
  }

  async #again(file: FileReport, digestAt: readonly number[]): Promise<FileReport> {
    const there = plainLogFiles(this.#settings.storePathCommitLog)
    const path = there.find(({ position }) => position === file.offset)?.path
    if (path === undefined) return file
    const wanted = [...file.marks.map(({ offset }) => offset), ...digestAt]
    const again = await surveyFile({
      path,
      offset: file.offset,
      digestAt: wanted.sort((left, right) => left - right),
    })
    return file.tail === undefined ? again : { ...again, tail: file.tail }
  }

  async #read(position: number, sizeBytes: number): Promise<Buffer> {
    const files = plainLogFiles(this.#settings.storePathCommitLog)
    const file = files.findLast((candidate) => candidate.position <= position)
    const at = position - (file?.position ?? 0)
    if (file === undefined || at + sizeBytes > file.sizeBytes) {
      throw new LedgerError('BAD_REQUEST', `no file holds ${sizeBytes} bytes at ${position}`)
    }
    const handle = await open(file.path, 'r')
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(sizeBytes), 0, sizeBytes, at)
      if (bytesRead < sizeBytes) throw new LedgerError('DISK_FAILED', `${file.path} is short`)
      return buffer
    } finally {
      await handle.close()
    }
  }
}

function isJson(text: string): boolean {
  try {
    return text !== '' && parseLenientJson(text) !== undefined
  } catch {
    return false
  }
}

function isMissing(file: FileReport, offset: number): boolean {
  if (offset <= file.offset || offset >= file.endOffset) return false
  return !file.marks.some((mark) => mark.offset === offset)
}

/** @throws LedgerError BAD_REQUEST when a peer's bytes are no such state */
export function parseCopyState(bytes: Buffer, from: string): CopyState {
  const { formed, report, modifiedMs = {} } = parseAnswer(bytes, from)
  const isState =
    typeof formed === 'boolean' &&
    isObject(modifiedMs) &&
    Object.values(modifiedMs).every(Number.isSafeInteger)
  if (!isState) throw noAnswer(from, 'is no state of a copy')
  return {
    formed,
    report: parseReport(report, `the answer of ${from}`),
    modifiedMs: modifiedMs as Record<string, number>,
  }
}

/** @throws LedgerError BAD_REQUEST when a peer's bytes are no texts by name */
export function parseTables(bytes: Buffer, from: string): Tables {
  const texts = parseAnswer(bytes, from)
  const isTables = Object.values(texts).every((text) => typeof text === 'string')
  if (!isTables) throw noAnswer(from, 'is no texts of tables')
  return texts as Tables
}

function parseAnswer(bytes: Buffer, from: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw noAnswer(from, 'is no JSON')
  }
  if (!isObject(value)) throw noAnswer(from, 'is no object')
  return value
}

function noAnswer(from: string, why: string): LedgerError {
  return new LedgerError('BAD_REQUEST', `the answer of ${from} ${why}`)
}
