/** Reading of JSON bodies from clients: nothing in them is trusted to have the type it should. */
import { LedgerError } from '@ringledger/base'
import { asJsonObject, parseJsonBody } from '@ringledger/protocol'
import type { BrokerRequest } from '../request.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** Throws LedgerError BAD_REQUEST when the body is no JSON object. */
export function bodyObject(request: BrokerRequest): JsonObject {
  return asJsonObject(parseJsonBody(request.body), 'the body')
}

export function textMember(object: JsonObject, name: string): string {
  const value = object[name]
  if (typeof value !== 'string') throw new LedgerError('BAD_REQUEST', `"${name}" is not a text`)
  return value
}

export function optionalTextMember(object: JsonObject, name: string): string | undefined {
  const value = object[name]
  return typeof value === 'string' ? value : undefined
}

/**
 * Numbers beyond 2^53 (Go's nanosecond versions) lose their last digits, which only ever are
 * compared.
 */
export function numberMember(object: JsonObject, name: string, missing: number): number {
  const value = object[name]
  if (value === undefined || value === null) return missing
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isFinite(number)) {
    throw new LedgerError('BAD_REQUEST', `"${name}" is not a number`)
  }
  return number
}

/** The objects of an array member; an absent one is empty. */
export function objectsMember(object: JsonObject, name: string, most: number): JsonObject[] {
  const value = object[name]
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new LedgerError('BAD_REQUEST', `"${name}" is not an array`)
  if (value.length > most) {
    throw new LedgerError('BAD_REQUEST', `"${name}" has more than ${most} elements`)
  }
  return value.map((item) => asJsonObject(item, `an element of "${name}"`))
}
