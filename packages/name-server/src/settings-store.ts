/**
 * The settings of a running name server and the file they are kept in. Owns the order of a change:
 * checked as a whole, then on disk, then in effect.
 */
import { readFileSync } from 'node:fs'
import { LedgerError } from '@ringledger/base'
import { NAME_SERVER_BLACK_LIST, type NameServerSettings, readSettingsChange } from './config.ts'
import { replaceText } from './kv.ts'

export class SettingsStore {
  /** In effect now; handlers read it anew for each request. */
  readonly current: NameServerSettings
  readonly #fixed: ReadonlyMap<string, string>
  readonly #ignored = new Map<string, string>()
  readonly #path: string | undefined

  /**
   * `fixed`: keys that are shown beside the settings and cannot be changed; `path`: where changes
   * are kept.
   */
  constructor(settings: NameServerSettings, fixed: ReadonlyMap<string, string>, path?: string) {
    this.current = settings
    this.#fixed = fixed
    this.#path = path
  }

  /** Every key with its value as text (code 319). */
  properties(): Map<string, string> {
    const properties = new Map<string, string>([...this.#fixed, ...this.#ignored])
    for (const [key, value] of Object.entries(this.current)) properties.set(key, String(value))
    return properties
  }

  /** True when one of the keys may never be changed (code 16). */
  touchesBlackList(properties: ReadonlyMap<string, string>): boolean {
    return NAME_SERVER_BLACK_LIST.some((key) => properties.has(key))
  }

  /**
   * Applies a change (code 318); returns the keys that have no effect here.
   * @throws LedgerError BAD_REQUEST, DISK_FULL or DISK_FAILED; nothing changed then.
   */
  change(properties: ReadonlyMap<string, string>): string[] {
    if (this.touchesBlackList(properties)) {
      throw new LedgerError('BAD_REQUEST', 'Can not update config in black list.')
    }
    const change = readSettingsChange(properties)
    if (this.#path !== undefined) {
      replaceText(this.#path, withChanges(textOf(this.#path), properties))
    }
    Object.assign(this.current, change.settings)
    for (const [key, value] of change.ignored) this.#ignored.set(key, value)
    return [...change.ignored.keys()]
  }
}

/** The file's text; empty when there is no file. @throws LedgerError DISK_FAILED */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new LedgerError('DISK_FAILED', `cannot read ${path}: ${(error as Error).message}`)
  }
}

/** The operator's file with the changed keys in it; comments and other lines stay as they are. */
function withChanges(text: string, properties: ReadonlyMap<string, string>): string {
  const missing = new Map(properties)
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n')
  const changed = lines.map((line) => {
    const key = /^\s*([\w.-]+)\s*[=:]/.exec(line)?.[1]
    const value = key === undefined ? undefined : properties.get(key)
    if (key === undefined || value === undefined) return line
    missing.delete(key)
    return `${key}=${value}`
  })
  return [...changed, ...[...missing].map(([key, value]) => `${key}=${value}`), ''].join('\n')
}
