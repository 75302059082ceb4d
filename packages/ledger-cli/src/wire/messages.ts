/**
 * The requests that a `ledger server` answers and its answers, as objects: DLedger's fields under
 * DLedger's names, and a few of ours that its readers ignore. Owns what a client may believe of an
 * answer.
 */
import { LedgerError } from '@ringledger/base'
import type { LedgerStatus } from '@ringledger/engine'
import { ENTRY_HEADER_BYTES } from '@ringledger/protocol'
import { type Body, bytesOf, integerIn, listIn, readBody, textIn } from './body.ts'

/** One entry as a client gets it. */
export interface WireEntry {
  readonly index: number
  readonly term: number
  readonly position: number
  readonly body: Buffer
}

/** Every answer: what became of the request. */
export interface WireAnswer {
  readonly code: number
  readonly term: number
  readonly leaderId: string | undefined
  /** Ours: whether a write that was refused may be in the log; undefined from a DLedger. */
  readonly mayCommit: boolean | undefined
  readonly body: Body
}

/** DLedgerEntry; both checksums stay 0, as DLedger's own are. */
export function entryBody(entry: {
  readonly index: number
  readonly term: number
  readonly position: number
  readonly body: Uint8Array
}): Body {
  const { buffer, byteOffset, length } = entry.body
  return {
    body: Buffer.from(buffer, byteOffset, length).toString('base64'),
    bodyCrc: 0,
    chainCrc: 0,
    channel: 0,
    index: entry.index,
    magic: 1,
    pos: entry.position,
    size: ENTRY_HEADER_BYTES + length,
    term: entry.term,
  }
}

/** @throws LedgerError BAD_REQUEST when it is no answer of a ledger */
export function readAnswer(bytes: Buffer): WireAnswer {
  const body = readBody(bytes, 'the answer')
  const { mayCommit } = body
  return {
    code: integerIn(body, 'code') ?? 200,
    term: integerIn(body, 'term') ?? -1,
    leaderId: textIn(body, 'leaderId'),
    mayCommit: typeof mayCommit === 'boolean' ? mayCommit : undefined,
    body,
  }
}

/** The entries of a GET answer. @throws LedgerError BAD_REQUEST */
export function entriesOf({ body }: WireAnswer): WireEntry[] {
  return (listIn(body, 'entries') ?? []).map((value) => {
    const entry = objectOf(value, 'an entry')
    return {
      index: needed(entry, 'index'),
      term: needed(entry, 'term'),
      position: needed(entry, 'pos'),
      body: bytesOf(entry.body ?? '', 'the body of an entry'),
    }
  })
}

/** A number without which the answer means nothing. @throws LedgerError BAD_REQUEST */
export function needed(body: Body, name: string): number {
  const value = integerIn(body, name)
  if (value === undefined) throw new LedgerError('BAD_REQUEST', `${name} is missing`)
  return value
}

/** Where clients reach each member. @throws LedgerError BAD_REQUEST */
export function peersOf({ body }: WireAnswer): ReadonlyMap<string, string> {
  const peers = objectOf(body.peers ?? {}, 'peers')
  return new Map(Object.entries(peers).map(([id, address]) => [id, String(address)]))
}

/** What a member says of itself; undefined from a DLedger. */
export function statusOf({ body }: WireAnswer): LedgerStatus | undefined {
  const { status } = body
  return typeof status === 'object' && status !== null ? (status as LedgerStatus) : undefined
}

function objectOf(value: unknown, what: string): Body {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body
  throw new LedgerError('BAD_REQUEST', `${what} is no object`)
}
