/** Reads a report that another machine wrote; checks what a comparison relies on. */
import { readFileSync } from 'node:fs'
import { LedgerError } from '@ringledger/base'
import { fileNameOfOffset } from '@ringledger/protocol'
import { REPORT_VERSION, type StoreReport } from './report.ts'

const MAX_REPORT_BYTES = 512 * 1024 * 1024

/** @throws LedgerError BAD_REQUEST when the file is no report of this version. */
export function readReport(path: string): StoreReport {
  const bytes = readFileSync(path)
  if (bytes.length > MAX_REPORT_BYTES) throw notAReport(path, 'it is too long')
  let parsed: unknown
  try {
    parsed = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw notAReport(path, 'it is no JSON')
  }
  return parseReport(parsed, path)
}

/** @throws LedgerError BAD_REQUEST when the value, which came from `source`, is no report. */
export function parseReport(value: unknown, source: string): StoreReport {
  const problem = shapeProblem(value)
  if (problem !== undefined) throw notAReport(source, problem)
  return value as StoreReport
}

function notAReport(path: string, why: string): LedgerError {
  return new LedgerError(
    'BAD_REQUEST',
    `${path} is no report of "mqadmin upgrade check --json": ${why}`,
  )
}

function shapeProblem(value: unknown): string | undefined {
  if (!isObject(value)) return 'it is no object'
  if (value.version !== REPORT_VERSION) {
    return `its version is ${String(value.version)}, this program reads ${REPORT_VERSION}: check again with the same release`
  }
  if (typeof value.store !== 'string') return 'store is missing'
  for (const key of ['segmentBytes', 'firstOffset', 'endOffset', 'messages']) {
    if (!isCount(value[key])) return `${key} is no whole number`
  }
  if (!isListOf(value.config, isTable)) return 'config is no list of tables'
  for (const key of ['problems', 'queues', 'consumeQueues', 'raftDirectories']) {
    if (!Array.isArray(value[key])) return `${key} is no list`
  }
  if (!isListOf(value.files, isFile)) return 'files is no list of log files'
  return undefined
}

/**
 * A copy is completed under the names that are found here: they name log files and nothing else.
 */
function isFile(file: unknown): boolean {
  if (!isObject(file)) return false
  const { name, offset, sizeBytes, endOffset, messages, digest, marks, tail } = file
  if (!isCount(offset) || !isCount(sizeBytes) || !isCount(endOffset) || !isCount(messages)) {
    return false
  }
  const fits = name === fileNameOfOffset(offset) && endOffset >= offset
  if (!fits || endOffset > offset + sizeBytes) return false
  return (
    isDigest(digest) && isListOf(marks, isMark) && (tail === undefined || isListOf(tail, isMark))
  )
}

function isMark(mark: unknown): boolean {
  return isObject(mark) && isCount(mark.offset) && isDigest(mark.digest)
}

function isTable(table: unknown): boolean {
  if (!isObject(table) || typeof table.name !== 'string') return false
  return isListOf(table.entries, (entry) => typeof entry === 'string')
}

function isListOf(value: unknown, isOne: (element: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isOne)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isDigest(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{16}$/.test(value)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
