/**
 * The seam between the broker thread and the core thread, seen from the broker's side.
 * `core-port.ts` implements it over rings, `core-port-fake.ts` in memory for tests.
 * Invariant: every call is synchronous and nothing here waits for the network or the disk.
 */
import type { ErrorCode } from '@ringledger/base'

export type Role = 'leader' | 'follower' | 'candidate'

/**
 * What became of one proposed message. `ok: false` with LEADERSHIP_LOST or CLOSED may still commit.
 */
export type AppendResult =
  | {
      readonly ok: true
      readonly physicalOffset: number
      readonly queueOffset: number
      readonly storeTimestampMs: number
      /** End of the entry: once `dispatched >= endPosition` this thread has applied it. */
      readonly endPosition: number
    }
  | { readonly ok: false; readonly code: ErrorCode }

export interface CoreEvents {
  /** `frame` starts at `start` with its length field; its bytes are valid only during the call. */
  onRequest(connectionId: number, frame: Buffer, start: number, end: number): void
  /** `remoteHost`: 4 or 16 address bytes and an int32 port. */
  onConnected(connectionId: number, remoteAddress: string, remoteHost: Buffer): void
  onClosed(connectionId: number): void
  /** `barrierEnd`: end position of the leader's own first entry; only meaningful for 'leader'. */
  onRole(role: Role, term: number, leaderId: string, barrierEnd: number): void
  /** The answer to `transfer`. */
  onTransferEnded(done: boolean, reason: string): void
}

/** What core may know of a topic, so that it can take plain sends by itself. */
export interface PublishedTopic {
  readonly topic: string
  /** Queue id q of the topic has the slot `queueSlotBase + q`. */
  readonly queueSlotBase: number
  readonly queueCount: number
  readonly readQueueNums: number
  readonly writeQueueNums: number
  readonly perm: number
  /** False: every send to this topic comes to the broker thread. */
  readonly fast: boolean
  /**
   * Next queue offset of each slot of the topic, in order of queue id. Present whenever
   * `queueSlotBase` is new to a leader that already serves; a topic that moved to a new base keeps
   * in core the larger of this and what core has assigned under the old base.
   */
  readonly nextOffsets?: readonly number[]
}

export interface AnswerClaim {
  readonly bytes: Buffer
  readonly view: DataView
  readonly offset: number
}

export interface CorePort {
  /** Something arrived that `poll` has not handed on. */
  readonly pending: boolean
  /**
   * Hands on everything that arrived (requests, role changes, append completions); true if there
   * was any.
   */
  poll(events: CoreEvents): boolean
  /** Room for one complete answer frame; fill all of it, then `commitAnswer()`. */
  claimAnswer(connectionId: number, sizeBytes: number): AnswerClaim
  commitAnswer(): void
  /** Sends a complete frame: an answer, or a request of the broker's own. */
  send(connectionId: number, frame: Buffer): void
  close(connectionId: number): void
  /**
   * Proposes one encoded message (copied during the call); core stamps queue offset, physical
   * offset and store timestamp. Slot -1: no queue. False: core is busy and nothing was written.
   * `onDone` runs inside a later `poll()`.
   */
  append(queueSlot: number, message: Buffer, onDone: (result: AppendResult) => void): boolean
  /**
   * Proposes encoded messages, back to back in `messages`, at consecutive offsets of one queue with
   * nothing in between: all or none. `onDone` gets one result per message.
   */
  appendBatch(
    queueSlot: number,
    messages: Buffer,
    onDone: (results: readonly AppendResult[]) => void,
  ): boolean
  publishTopic(topic: PublishedTopic): void
  removeTopic(topic: string): void
  /**
   * The leader of `term` has applied its barrier: these are the next queue offsets, sends may
   * start.
   */
  serving(
    term: number,
    nextOffsets: Iterable<readonly [slot: number, nextQueueOffset: number]>,
  ): void
  /** Sends to this node are to be handed on to the leader there; empty: to nobody. */
  relayTo(address: string): void
  /**
   * Leadership is to go to the follower with this broker id, -1 for any; `onTransferEnded` follows.
   */
  transfer(brokerId: number): void
  /**
   * Whole segments of the log below `position`, which this thread has applied, are to be deleted.
   */
  trim(position: number): void
  /**
   * Publishes what was claimed, sent and appended since the last flush; the agent calls it once a
   * duty.
   */
  flush(): void
}
