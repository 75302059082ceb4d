/**
 * Questions and answers between members about their old logs. Owns the invariant that every
 * question is settled: by its answer, or by the loss of the connection.
 */
import { LedgerError } from '@ringledger/base'
import type { ForeignMessage } from '@ringledger/engine'
import type { PeerPiece } from '@ringledger/network'
import type { OldLogCopy } from './copy.ts'
import {
  type CopyAnswer,
  type CopyAsk,
  type CopyQuestion,
  isCopyAnswer,
  isCopyAsk,
} from './copy-messages.ts'

export type SendCopyMessage = (
  to: string,
  message: ForeignMessage,
  pieces: readonly PeerPiece[],
) => boolean

interface Waiting {
  readonly to: string
  readonly resolve: (bytes: Buffer) => void
  readonly reject: (error: Error) => void
}

/** Questions of one peer that are being answered; more are refused. */
const MAX_UNDER_WAY = 8

export class OldLogExchange {
  readonly #copy: OldLogCopy
  readonly #selfId: string
  readonly #send: SendCopyMessage
  readonly #waiting = new Map<number, Waiting>()
  readonly #underWay = new Map<string, number>()
  #nextId = 1

  constructor(selfId: string, copy: OldLogCopy, send: SendCopyMessage) {
    this.#selfId = selfId
    this.#copy = copy
    this.#send = send
  }

  /** Rejects when the peer is not connected, is lost, or does not answer it. */
  ask(
    to: string,
    question: CopyQuestion,
    fields: { position?: number; sizeBytes?: number; digestAt?: readonly number[] } = {},
  ): Promise<Buffer> {
    const id = this.#nextId++
    const message: CopyAsk = {
      type: 'oldLogAsk',
      from: this.#selfId,
      to,
      term: 0,
      id,
      question,
      position: fields.position ?? 0,
      sizeBytes: fields.sizeBytes ?? 0,
      digestAt: fields.digestAt ?? [],
    }
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { to, resolve, reject })
      if (this.#send(to, message, [])) return
      this.#waiting.delete(id)
      reject(new LedgerError('CLOSED', `${to} is not connected`))
    })
  }

  onMessage(
    from: string,
    message: ForeignMessage,
    payload: Buffer,
    start: number,
    end: number,
  ): void {
    if (isCopyAsk(message)) void this.#answer(from, message)
    else if (isCopyAnswer(message)) this.#settle(from, message, payload, start, end)
  }

  onDisconnected(id: string): void {
    for (const [number, { to, reject }] of this.#waiting) {
      if (to !== id) continue
      this.#waiting.delete(number)
      reject(new LedgerError('CLOSED', `${id} is gone`))
    }
  }

  #settle(
    from: string,
    { id, refusal }: CopyAnswer,
    payload: Buffer,
    start: number,
    end: number,
  ): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined || waiting.to !== from) return
    this.#waiting.delete(id)
    if (refusal === '') waiting.resolve(Buffer.from(payload.subarray(start, end)))
    else waiting.reject(new LedgerError('BAD_REQUEST', `${from}: ${refusal}`))
  }

  async #answer(from: string, ask: CopyAsk): Promise<void> {
    const busy = this.#underWay.get(from) ?? 0
    if (busy >= MAX_UNDER_WAY) {
      this.#reply(from, ask.id, 'too many questions at once', Buffer.alloc(0))
      return
    }
    this.#underWay.set(from, busy + 1)
    try {
      this.#reply(from, ask.id, '', await this.#copy.answer(ask))
    } catch (error) {
      this.#reply(from, ask.id, (error as Error).message, Buffer.alloc(0))
    } finally {
      this.#underWay.set(from, (this.#underWay.get(from) ?? 1) - 1)
    }
  }

  #reply(to: string, id: number, refusal: string, bytes: Buffer): void {
    const message: CopyAnswer = {
      type: 'oldLogAnswer',
      from: this.#selfId,
      to,
      term: 0,
      id,
      refusal,
    }
    const piece = { buffer: bytes, offset: 0, sizeBytes: bytes.length, position: 0, pinned: false }
    this.#send(to, message, bytes.length === 0 ? [] : [piece])
  }
}
