/**
 * JSON bodies as DLedger's peers write and read them (reference dledger.md §1.5). Owns the checks
 * of every member that is used; unknown members are ignored, as fastjson does.
 */
import { LedgerError } from '@ringledger/base'
import { asJsonObject, parseJsonBody, stringifyJson } from '@ringledger/protocol'

export type Body = Readonly<Record<string, unknown>>

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

/** @throws LedgerError BAD_REQUEST when the body is no JSON object */
export function readBody(bytes: Buffer, what: string): Body {
  if (bytes.length === 0) throw new LedgerError('BAD_REQUEST', `${what} has no body`)
  return asJsonObject(parseJsonBody(bytes), `the body of ${what}`)
}

/** Members in the order of their names, as fastjson writes them. */
export function writeBody(body: Body): Buffer {
  const sorted = Object.entries(body).sort(([left], [right]) => (left < right ? -1 : 1))
  return Buffer.from(stringifyJson(Object.fromEntries(sorted)))
}

/** A text member; undefined when absent. @throws LedgerError BAD_REQUEST */
export function textIn(body: Body, name: string): string | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw new LedgerError('BAD_REQUEST', `${name} is no text`)
  return value
}

/** A whole number below 2^53; undefined when absent. @throws LedgerError BAD_REQUEST */
export function integerIn(body: Body, name: string): number | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  const number = typeof value === 'string' && /^-?\d{1,16}$/.test(value) ? Number(value) : value
  if (!Number.isSafeInteger(number)) {
    throw new LedgerError('BAD_REQUEST', `${name} is no whole number below 2^53`)
  }
  return number as number
}

/** A `byte[]`: Base64 text. @throws LedgerError BAD_REQUEST */
export function bytesOf(value: unknown, name: string): Buffer {
  if (typeof value !== 'string' || value.length % 4 !== 0 || !BASE64.test(value)) {
    throw new LedgerError('BAD_REQUEST', `${name} is no Base64 text`)
  }
  return Buffer.from(value, 'base64')
}

/** A member that is a list; undefined when absent. @throws LedgerError BAD_REQUEST */
export function listIn(body: Body, name: string): readonly unknown[] | undefined {
  const value = body[name]
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value)) throw new LedgerError('BAD_REQUEST', `${name} is no list`)
  return value
}
