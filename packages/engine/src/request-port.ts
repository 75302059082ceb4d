/**
 * The consensus thread's end of the rings to its importer: orders appends, confirms reads, answers
 * each once. Invariants: a batch is ordered whole or not at all; an append is answered as done only
 * when it is committed in the term it was ordered in; nothing here waits: what has no room stays in
 * the ring, and with it what is behind it.
 */
import { assert } from '@ringledger/base'
import { ClaimRefusal, type Replica } from '@ringledger/consensus'
import type { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import {
  AnswerFrame,
  APPENDED_HEAD_BYTES,
  CONFIRMED_BYTES,
  MAX_TOKENS,
  OPEN_ANSWER_BYTES,
  REFUSED_BYTES,
  REQUEST_HEAD_BYTES,
  Refusal,
  RequestFrame,
} from './ledger-frames.ts'
import { PendingAppends } from './pending-appends.ts'
import { ReadRounds } from './read-rounds.ts'

export interface RequestPortParts {
  readonly requests: SpscRing
  readonly answers: SpscRing
  readonly bell: Doorbell
  readonly replica: Replica
  /** Number of the leader among the members, -1: unknown. */
  leaderNumber(): number
  /** What readers of the importer see: its last index and the position behind it. */
  readonly committed: { readonly position: number; readonly index: number }
  /** True: an append is done when readers here see it; false: when a majority has it in memory. */
  readonly syncBeforeAck: boolean
}

/** So that a flood of appends keeps the peers waiting for a turn at most. */
const MAX_FRAMES_PER_TURN = 1_024

export class RequestPort {
  diskFull = false
  readonly #parts: RequestPortParts
  readonly #pending = new PendingAppends(MAX_TOKENS, OPEN_ANSWER_BYTES / 8)
  readonly #reads: ReadRounds
  #halted = false
  #madeRoom = false
  #stalled = false

  constructor(parts: RequestPortParts) {
    this.#parts = parts
    this.#reads = new ReadRounds({
      replica: parts.replica,
      confirm: (token) => this.#confirm(token),
      refuse: (token) => this.#refuse(token, this.#halted ? Refusal.HALTED : Refusal.NOT_LEADER),
    })
  }

  /** Takes what the importer asks. True when more waits that could be taken now. */
  drain(): boolean {
    const { requests } = this.#parts
    this.#stalled = false
    const drained = requests.drain(this.#onRequest, MAX_FRAMES_PER_TURN)
    if (drained > 0 && requests.takeStarved()) this.#madeRoom = true
    this.#reads.start()
    return !this.#stalled && requests.pending
  }

  /** Answers what is done by now: the last thing before `flush`. */
  complete(): void {
    const { replica, committed, syncBeforeAck } = this.#parts
    const done = syncBeforeAck ? committed.position : replica.committedPosition
    while (this.#pending.oldestWithin(done)) this.#appended()
    this.#reads.answer(committed.position)
  }

  /** Publishes the turn's answers; `wake`: the importer has another reason to wake. */
  flush(wake: boolean): void {
    const answered = this.#parts.answers.publish()
    if (!answered && !this.#madeRoom && !wake) return
    this.#madeRoom = false
    this.#parts.bell.ring()
  }

  /** See `ReplicaHooks.onReadIndex`. */
  onReadIndex(id: number, position: number): void {
    this.#reads.onReadIndex(id, position)
  }

  /** The role or term changed: what a majority does not have yet may or may not survive. */
  onRole(): void {
    this.#failBeyond(this.#parts.replica.committedPosition, Refusal.LEADERSHIP_LOST)
    if (!this.#parts.replica.leading) this.#reads.refuseAll()
  }

  onHalted(): void {
    this.#halted = true
    this.#failBeyond(-1, Refusal.HALTED_LATE)
    this.#reads.refuseAll()
  }

  readonly #onRequest = (type: number, offset: number, sizeBytes: number): boolean => {
    const { view } = this.#parts.requests
    const token = view.getInt32(offset, true)
    if (type === RequestFrame.READ) {
      if (this.#mayServe(token)) this.#reads.add(token)
      return true
    }
    if (!this.#mayServe(token)) return true
    if (this.diskFull) {
      this.#refuse(token, Refusal.DISK_FULL)
      return true
    }
    const count = type === RequestFrame.BATCH ? view.getInt32(offset + 4, true) : 1
    return this.#order(token, count, offset, sizeBytes)
  }

  #mayServe(token: number): boolean {
    if (this.#parts.replica.leading && !this.#halted) return true
    this.#refuse(token, this.#halted ? Refusal.HALTED : Refusal.NOT_LEADER)
    return false
  }

  /** False when there is no room for all of it now: then none of it was ordered. */
  #order(token: number, count: number, offset: number, sizeBytes: number): boolean {
    const { requests, replica } = this.#parts
    const single = count === 1
    const start = replica.end
    let lengthAt = offset + REQUEST_HEAD_BYTES
    let bodyAt = single ? lengthAt : lengthAt + 4 * count
    for (let at = 0; at < count; at++, lengthAt += 4) {
      const bodyBytes = single
        ? sizeBytes - REQUEST_HEAD_BYTES
        : requests.view.getInt32(lengthAt, true)
      const target = replica.claim(bodyBytes)
      if (target < 0) {
        this.#pending.dropPositions()
        if (at > 0) replica.takeBack(start)
        return this.#onNoRoom(token, target)
      }
      requests.bytes.copy(replica.bytes, target, bodyAt, bodyAt + bodyBytes)
      bodyAt += bodyBytes
      this.#pending.addPosition(replica.claimedPosition)
      replica.seal()
    }
    assert(bodyAt === offset + sizeBytes, 'a request is as long as its bodies')
    this.#pending.add(token, start.lastIndex + 1, replica.term, replica.endPosition)
    return true
  }

  #onNoRoom(token: number, refusal: number): boolean {
    if (refusal === ClaimRefusal.BUSY) {
      this.#stalled = true
      return false
    }
    const tooLarge = refusal === ClaimRefusal.TOO_LARGE
    this.#refuse(token, tooLarge ? Refusal.TOO_LARGE : Refusal.HANDING_OVER)
    return true
  }

  #failBeyond(position: number, refusal: Refusal): void {
    while (this.#pending.newestBeyond(position)) this.#refuse(this.#pending.removeNewest(), refusal)
  }

  #appended(): void {
    const pending = this.#pending
    const { count } = pending
    const offset = this.#claim(AnswerFrame.APPENDED, APPENDED_HEAD_BYTES + 8 * count)
    const { view } = this.#parts.answers
    view.setInt32(offset, pending.token, true)
    view.setInt32(offset + 4, count, true)
    view.setFloat64(offset + 8, pending.term, true)
    view.setFloat64(offset + 16, pending.firstIndex, true)
    for (let at = 0; at < count; at++) {
      view.setFloat64(offset + APPENDED_HEAD_BYTES + 8 * at, pending.position(at), true)
    }
    this.#parts.answers.commit()
    pending.removeOldest()
  }

  #confirm(token: number): void {
    const { answers, committed } = this.#parts
    const offset = this.#claim(AnswerFrame.CONFIRMED, CONFIRMED_BYTES)
    answers.view.setInt32(offset, token, true)
    answers.view.setInt32(offset + 4, 0, true)
    answers.view.setFloat64(offset + 8, committed.index, true)
    answers.view.setFloat64(offset + 16, committed.position, true)
    answers.commit()
  }

  #refuse(token: number, refusal: Refusal): void {
    const offset = this.#claim(AnswerFrame.REFUSED, REFUSED_BYTES)
    const { view } = this.#parts.answers
    view.setInt32(offset, token, true)
    view.setInt32(offset + 4, refusal, true)
    view.setInt32(offset + 8, this.#parts.leaderNumber(), true)
    this.#parts.answers.commit()
  }

  #claim(type: number, sizeBytes: number): number {
    const offset = this.#parts.answers.claim(sizeBytes, type)
    assert(offset >= 0, 'the importer has no more under way than there is room for answers')
    return offset
  }
}
