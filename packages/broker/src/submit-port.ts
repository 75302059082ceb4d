/**
 * The seam between reading a plain send and ordering it: a plain call when one thread does both
 * (`local-submit.ts`), a ring when clients have threads of their own (`ring-submit.ts`).
 */
import type { Connection } from '@ringledger/network'
import { MessageParts } from '@ringledger/protocol'
import type { TopicSlot } from './topic-table.ts'

/** What became of a frame. */
export const Taken = {
  DONE: 0,
  /** It is the broker thread's. */
  FORWARD: 1,
  /** No room now: offer it again once `retry` says so. */
  LATER: 2,
} as const
export type Taken = (typeof Taken)[keyof typeof Taken]

/** A plain send that has been read and checked; one object is used again and again. */
export class PlainSend {
  readonly parts: MessageParts = new MessageParts()
  opaque = 0
  oneWay = false
  /** Of the encoded message. */
  sizeBytes = 0
  /** Where its unique key lies, counted from the encoded message's first byte. */
  uniqueKeyStart = 0
  uniqueKeyBytes = 0
}

export interface SubmitPort {
  /**
   * Whether sends are ordered here as far as this thread knows; if not, the broker thread answers.
   */
  readonly serving: boolean
  /** Whether sends are to come later, since a leader is being found. */
  readonly holding: boolean
  /** The turn's time. Never goes back. */
  readonly nowMs: number
  /** Takes the message, or refuses it with an answer. */
  submit(connection: Connection, topic: TopicSlot, send: PlainSend): Taken
  /** True if sends that were to come later should be offered again; asked before offering them. */
  retry(): boolean
}
