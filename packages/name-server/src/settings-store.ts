/**
 * The settings of a running name server and the file they are kept in. Owns the order of a change:
 * checked as a whole, then on disk, then in effect.
 */
import { LedgerError } from '@ringledger/base'
import {
  formatProperties,
  NAME_SERVER_BLACK_LIST,
  type NameServerSettings,
  readSettingsChange,
} from './config.ts'
import { replaceFile } from './kv.ts'

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
   * @throws LedgerError BAD_REQUEST or DISK_FAILED; nothing changed then.
   */
  change(properties: ReadonlyMap<string, string>): string[] {
    if (this.touchesBlackList(properties)) {
      throw new LedgerError('BAD_REQUEST', 'Can not update config in black list.')
    }
    const change = readSettingsChange(properties)
    if (this.#path !== undefined) {
      replaceFile(this.#path, formatProperties(new Map([...this.properties(), ...properties])))
    }
    Object.assign(this.current, change.settings)
    for (const [key, value] of change.ignored) this.#ignored.set(key, value)
    return [...change.ignored.keys()]
  }
}
