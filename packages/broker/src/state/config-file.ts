/**
 * Small text files that are replaced whole, with the text before as `.bak`, as Apache keeps its
 * config files. Owns the order of the steps: at every moment either the file or its `.bak` is
 * complete.
 */
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { onDisk, syncDirectory, writeSynced } from '@ringledger/base/internal'

/**
 * Replaces the file's text; durable when it returns. Throws LedgerError `DISK_FULL` or
 * `DISK_FAILED`.
 */
export function replaceText(path: string, text: string): void {
  const directory = dirname(path)
  const draft = `${path}.tmp`
  const bytes = Buffer.from(text)
  onDisk(`write of ${path}`, () => {
    mkdirSync(directory, { recursive: true })
    writeSynced(draft, bytes)
    if (existsSync(path)) renameSync(path, `${path}.bak`)
    else {
      // A file that rots before it is ever replaced has its copy, too.
      renameSync(draft, `${path}.bak`)
      writeSynced(draft, bytes)
    }
    renameSync(draft, path)
  })
  syncDirectory(directory)
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
