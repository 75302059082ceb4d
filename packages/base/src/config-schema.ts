/**
 * Configuration as data: every setting has a type, a range, a unit, a default and a sentence of
 * documentation in one place. Owns the rule that a value is either fully understood or refused:
 * nothing is ignored in silence.
 */
import { nearest } from './suggest.ts'

/** What a parser gives back when the text is not a value of the setting; shown to the operator. */
export class BadValue {
  readonly reason: string

  constructor(reason: string) {
    this.reason = reason
  }
}

/** One setting. `doc` says what it does and what goes wrong when it is set badly. */
export interface Setting<T> {
  readonly doc: string
  readonly unit?: string
  readonly defaultValue: T
  parse(text: string): T | BadValue
  format(value: T): string
}

/** A setting for every field of `T`. */
export type SettingsSchema<T> = { readonly [K in keyof T]: Setting<T[K]> }

/** One `key=value` as written, and where. */
export interface ConfigEntry {
  readonly key: string
  readonly value: string
  /** From 1; 0 for a value that came from the command line. */
  readonly line: number
}

/** Something in the file that the operator has to know. */
export interface ConfigRemark {
  readonly line: number
  readonly message: string
}

export interface ReadSettings<T> {
  readonly values: T
  /** Line of each key that was written; keys at their default are absent. */
  readonly lines: ReadonlyMap<string, number>
  readonly problems: ConfigRemark[]
  readonly warnings: ConfigRemark[]
}

interface SettingOptions<T> {
  readonly doc: string
  readonly defaultValue: T
  readonly unit?: string
}

interface IntegerOptions extends SettingOptions<number> {
  readonly min: number
  readonly max: number
}

/** A whole number within `min`…`max`. */
export function integerSetting(options: IntegerOptions): Setting<number> {
  const { min, max, unit } = options
  const range = `a whole number from ${min} to ${max}${unit ? ` (${unit})` : ''}`
  return {
    ...options,
    parse(text) {
      if (!/^[+-]?\d+$/.test(text)) return new BadValue(`must be ${range}`)
      const value = Number(text)
      return value < min || value > max ? new BadValue(`must be ${range}`) : value
    },
    format: String,
  }
}

/** `true` or `false`; anything else is refused (Java would read it as false). */
export function booleanSetting(options: SettingOptions<boolean>): Setting<boolean> {
  return {
    ...options,
    parse(text) {
      const lower = text.toLowerCase()
      if (lower === 'true') return true
      return lower === 'false' ? false : new BadValue('must be true or false')
    },
    format: String,
  }
}

/** One of a closed set of words. */
export function choiceSetting<T extends string>(
  options: SettingOptions<T> & { readonly choices: readonly T[] },
): Setting<T> {
  return {
    ...options,
    parse(text) {
      const found = options.choices.find((choice) => choice === text)
      if (found !== undefined) return found
      const meant = nearest(text, options.choices)
      const hint = meant ? `; did you mean ${meant}?` : ''
      return new BadValue(`must be one of ${options.choices.join(', ')}${hint}`)
    },
    format: String,
  }
}

/** Free text, checked by `check`, which returns why it is wrong or nothing. */
export function textSetting(
  options: SettingOptions<string> & { readonly check?: (text: string) => string | undefined },
): Setting<string> {
  return {
    ...options,
    parse(text) {
      const reason = text === '' ? undefined : options.check?.(text)
      return reason === undefined ? text : new BadValue(reason)
    },
    format: (value) => value,
  }
}

/**
 * Reads entries against a schema. `knownElsewhere` holds keys that RocketMQ understands and we do
 * not use: they are accepted with a warning. Any other unknown key is a problem.
 */
export function readSettings<T extends object>(
  schema: SettingsSchema<T>,
  entries: readonly ConfigEntry[],
  knownElsewhere: ReadonlySet<string>,
): ReadSettings<T> {
  const settings = new Map(Object.entries(schema) as [string, Setting<unknown>][])
  const values = new Map<string, unknown>()
  for (const [key, setting] of settings) values.set(key, setting.defaultValue)
  const lines = new Map<string, number>()
  const problems: ConfigRemark[] = []
  const warnings: ConfigRemark[] = []
  for (const { key, value, line } of entries) {
    const setting = settings.get(key)
    if (setting === undefined) {
      const known = knownElsewhere.has(key)
      const message = known ? unusedKey(key) : unknownKey(key, settings.keys(), knownElsewhere)
      ;(known ? warnings : problems).push({ line, message })
      continue
    }
    const earlier = lines.get(key)
    if (earlier !== undefined && line > 0) {
      const message = `"${key}" is set again (first on line ${earlier}); the last value counts`
      warnings.push({ line, message })
    }
    lines.set(key, line)
    const parsed = setting.parse(value)
    if (parsed instanceof BadValue) {
      problems.push({ line, message: `${key}=${JSON.stringify(value)}: ${parsed.reason}` })
    } else {
      values.set(key, parsed)
    }
  }
  return { values: Object.fromEntries(values) as T, lines, problems, warnings }
}

function unusedKey(key: string): string {
  return `"${key}" is a RocketMQ setting that RingLedger does not use; it has no effect`
}

function unknownKey(
  key: string,
  ours: Iterable<string>,
  knownElsewhere: ReadonlySet<string>,
): string {
  const meant = nearest(key, ours) ?? nearest(key, knownElsewhere)
  return `unknown setting "${key}"${meant ? `; did you mean "${meant}"?` : ''}`
}

/** Every setting as text, sorted by key, as RocketMQ's `-p` prints it. */
export function formatSettings<T extends object>(
  schema: SettingsSchema<T>,
  values: T,
): Map<string, string> {
  const result = new Map<string, string>()
  for (const key of (Object.keys(schema) as (keyof T & string)[]).sort()) {
    result.set(key, schema[key].format(values[key]))
  }
  return result
}
