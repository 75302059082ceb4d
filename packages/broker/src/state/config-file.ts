/**
 * Small text files that are replaced whole, with the text before as `.bak`, as Apache keeps its
 * config files. Owns the order of the steps: at every moment either the file or its `.bak` is
 * complete.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { onDisk, syncDirectory } from '../store/file-io.ts'

/**
 * Replaces the file's text; durable when it returns. Throws LedgerError `DISK_FULL` or
 * `DISK_FAILED`.
 */
export function replaceText(path: string, text: string): void {
  const directory = dirname(path)
  onDisk(`write of ${path}`, () => {
    mkdirSync(directory, { recursive: true })
    if (existsSync(path)) {
      writeDraft(path, text)
      renameSync(path, `${path}.bak`)
    } else {
      // A file that rots before it is ever replaced has its copy, too.
      writeDraft(path, text)
      renameSync(`${path}.tmp`, `${path}.bak`)
      writeDraft(path, text)
    }
    renameSync(`${path}.tmp`, path)
  })
  syncDirectory(directory)
}

function writeDraft(path: string, text: string): void {
  const descriptor = openSync(`${path}.tmp`, 'w')
  try {
    const bytes = Buffer.from(text)
    let done = 0
    while (done < bytes.length) done += writeSync(descriptor, bytes, done)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/**
 * What `parse` makes of the file, or of its `.bak` when the file is missing, empty or refused by
 * `parse`; undefined when neither exists. Throws LedgerError `CORRUPT` when there is text but none
 * of it can be used.
 */
export function readText<Value>(
  path: string,
  log: (line: string) => void,
  parse: (text: string) => Value,
): Value | undefined {
  let failure: unknown
  for (const candidate of [path, `${path}.bak`]) {
    const text = textOf(candidate)
    if (text === '') continue
    try {
      return parse(text)
    } catch (error) {
      failure = error
      log(`${candidate} is not used: ${String(error)}`)
    }
  }
  if (failure === undefined) return undefined
  throw new LedgerError('CORRUPT', `neither ${path} nor its .bak can be read: ${String(failure)}`, {
    cause: failure,
  })
}

function textOf(path: string): string {
  return onDisk(`read of ${path}`, () => (existsSync(path) ? readFileSync(path, 'utf8') : ''))
}
