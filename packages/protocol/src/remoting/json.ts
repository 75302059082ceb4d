/**
 * The JSON dialect of fastjson (reference rocketmq-remoting.md §1.8): read leniently (unquoted
 * keys, objects as keys, integers beyond 2^53). Owns that no integer loses digits. Writer:
 * `json-writer.ts`.
 */
import { LedgerError } from '@ringledger/base'
import { LenientJsonReader } from './json-reader.ts'
import { stringifyJson } from './json-writer.ts'

/** A number that may exceed 2^53; a string can look like one too, which only costs time. */
const LONG_NUMBER = /(?:^|[:[,])\s*-?\d{16}/

/**
 * Parses standard or fastjson text. Integers beyond 2^53 become bigint; an object in key place
 * becomes its compact JSON text. Throws `BAD_REQUEST` for anything else.
 */
export function parseLenientJson(text: string): unknown {
  if (!LONG_NUMBER.test(text)) {
    try {
      return JSON.parse(text)
    } catch {
      // Not strict JSON: the lenient reader decides.
    }
  }
  return new LenientJsonReader(text).readDocument()
}

/** Bytes of a JSON body in any of the dialects; an empty body gives undefined. */
export function parseJsonBody(body: Buffer): unknown {
  return body.length === 0 ? undefined : parseLenientJson(body.toString('utf8'))
}

/** `stringifyJson` as UTF-8 bytes, for a body. */
export function jsonBody(value: unknown): Buffer {
  return Buffer.from(stringifyJson(value))
}

/** Strict JSON text of fastjson text: integer and object keys become strings. */
export function quotedKeys(text: string): string {
  return stringifyJson(parseLenientJson(text))
}

/** A JSON object, or `BAD_REQUEST` naming `what`. */
export function asJsonObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>
  }
  throw new LedgerError('BAD_REQUEST', `${what} is not a JSON object`)
}
