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
  const draft = `${path}.tmp`
  onDisk(`write of ${path}`, () => {
    mkdirSync(directory, { recursive: true })
    const descriptor = openSync(draft, 'w')
    try {
      const bytes = Buffer.from(text)
      let done = 0
      while (done < bytes.length) done += writeSync(descriptor, bytes, done)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    if (existsSync(path)) renameSync(path, `${path}.bak`)
    renameSync(draft, path)
  })
  syncDirectory(directory)
}

/**
 * What `parse` makes of the file, or of its `.bak` when the file is missing, empty or refused by
 * `parse`; undefined when neither exists. Throws LedgerError `CORRUPT` when there is text but none
 * of it can be used.
 */
export function readText<Value>(path: string, parse: (text: string) => Value): Value | undefined {
  let failure: unknown
  for (const candidate of [path, `${path}.bak`]) {
    const text = textOf(candidate)
    if (text === '') continue
    try {
      return parse(text)
    } catch (error) {
      failure = error
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
