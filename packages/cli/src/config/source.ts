/**
 * A configuration file with its name, and the way its problems are told: `file:line: what is
 * wrong`.
 */
import { readFileSync } from 'node:fs'
import { type ConfigEntry, type ConfigRemark, LedgerError } from '@ringledger/base'
import { parseProperties } from './properties-file.ts'

export interface ConfigSource {
  /** As the operator wrote it; undefined when there is no file. */
  readonly path: string | undefined
  readonly entries: readonly ConfigEntry[]
  readonly problems: readonly ConfigRemark[]
}

/** @throws LedgerError BAD_CONFIG when the file cannot be read. */
export function readConfigSource(
  path: string | undefined,
  overrides: Readonly<Record<string, string>>,
): ConfigSource {
  const given = Object.entries(overrides).map(([key, value]) => ({ key, value, line: 0 }))
  if (path === undefined) return { path, entries: given, problems: [] }
  const { entries, problems } = parseProperties(readBytes(path))
  return { path, entries: [...entries, ...given], problems }
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const reasons: Record<string, string> = {
      ENOENT: 'there is no such file',
      EACCES: 'no right to read it',
      EISDIR: 'it is a directory',
    }
    const reason = reasons[code ?? ''] ?? String(error)
    throw new LedgerError('BAD_CONFIG', `cannot read ${path}: ${reason}`, { cause: error })
  }
}

/** Stops with all problems, in the order of the file. */
export function refuse(source: ConfigSource, problems: readonly ConfigRemark[]): never {
  throw new LedgerError('BAD_CONFIG', sayRemarks(source, problems).join('\n'))
}

export function sayRemarks(source: ConfigSource, remarks: readonly ConfigRemark[]): string[] {
  return [...remarks]
    .sort((left, right) => left.line - right.line)
    .map(({ line, message }) => {
      if (line > 0) return `${source.path}:${line}: ${message}`
      return source.path === undefined ? message : `${source.path}: ${message}`
    })
}
