/** Reads a report that another machine wrote; checks what a comparison relies on. */
import { readFileSync } from 'node:fs'
import { LedgerError } from '@ringledger/base'
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
    if (!Number.isSafeInteger(value[key])) return `${key} is no whole number`
  }
  for (const key of ['config', 'problems', 'queues', 'consumeQueues', 'raftDirectories']) {
    if (!Array.isArray(value[key])) return `${key} is no list`
  }
  if (!Array.isArray(value.files) || !value.files.every(isFile)) return 'files is no list of files'
  return undefined
}

function isFile(file: unknown): boolean {
  if (!isObject(file) || typeof file.name !== 'string') return false
  const numbers = [file.offset, file.sizeBytes, file.endOffset, file.messages]
  return numbers.every(Number.isSafeInteger) && isDigest(file.digest) && marksAreGood(file.marks)
}

function marksAreGood(marks: unknown): boolean {
  if (!Array.isArray(marks)) return false
  return marks.every(
    (mark) => isObject(mark) && Number.isSafeInteger(mark.offset) && isDigest(mark.digest),
  )
}

function isDigest(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{16}$/.test(value)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
