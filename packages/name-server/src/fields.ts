/**
 * Names and addresses in ext fields. Owns the rule that an unusable one is said by its field (code
 * 1).
 */
import { LedgerError } from '@ringledger/base'
import { requireExt } from '@ringledger/protocol'
import { isAddress, isPlainName } from './names.ts'

type Ext = Readonly<Record<string, string>>

/** @throws LedgerError BAD_REQUEST when the field is absent or not a usable name. */
export function requireName(ext: Ext, field: string): string {
  const value = requireExt(ext, field)
  if (!isPlainName(value)) throw unusable(field, 'a usable name')
  return value
}

/** @throws LedgerError BAD_REQUEST when the field is absent or not `host:port`. */
export function requireAddress(ext: Ext, field: string): string {
  const value = requireExt(ext, field)
  if (!isAddress(value)) throw unusable(field, 'host:port')
  return value
}

/** The value is not repeated: it may be long or hold anything. */
function unusable(field: string, expected: string): LedgerError {
  return new LedgerError('BAD_REQUEST', `the header field '${field}' is not ${expected}`)
}
