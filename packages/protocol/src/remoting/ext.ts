/**
 * Typed reading of ext fields, as Java parses them: integers in decimal, a boolean is true only for
 * "true" in any case. A missing or ill-typed required field throws `BAD_REQUEST` with a text that
 * goes to the client.
 */
import { LedgerError } from '@ringledger/base'

type Ext = Readonly<Record<string, string>>

const DECIMAL = /^[+-]?\d{1,19}$/

function illTyped(name: string, text: string, type: string): LedgerError {
  return new LedgerError('BAD_REQUEST', `the header field '${name}' is not ${type}: '${text}'`)
}

/** The field's text; `BAD_REQUEST` when it is missing. */
export function requireExt(ext: Ext, name: string): string {
  const value = ext[name]
  if (value === undefined) {
    throw new LedgerError('BAD_REQUEST', `the header field '${name}' is missing`)
  }
  return value
}

function numberOf(ext: Ext, name: string, missing: number | undefined, type: string): number {
  const text = ext[name]
  if (text === undefined && missing !== undefined) return missing
  const present = requireExt(ext, name)
  if (!DECIMAL.test(present)) throw illTyped(name, present, type)
  return Number(present)
}

/** An int32 field. Without `missing` the field is required. */
export function extInt(ext: Ext, name: string, missing?: number): number {
  const value = numberOf(ext, name, missing, 'an int')
  if ((value | 0) !== value) throw illTyped(name, String(value), 'an int')
  return value === 0 ? 0 : value
}

/**
 * An int64 field as number: values beyond 2^53 (clients send 9223372036854775807 for "no end") come
 * as the nearest safe integer. Without `missing` the field is required.
 */
export function extLong(ext: Ext, name: string, missing?: number): number {
  const value = numberOf(ext, name, missing, 'a long')
  if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER
  if (value < Number.MIN_SAFE_INTEGER) return Number.MIN_SAFE_INTEGER
  return value === 0 ? 0 : value
}

/** A boolean field. Without `missing` the field is required. */
export function extBool(ext: Ext, name: string, missing?: boolean): boolean {
  const text = ext[name]
  if (text === undefined && missing !== undefined) return missing
  return requireExt(ext, name).toLowerCase() === 'true'
}
