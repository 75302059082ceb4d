/**
 * The core thread as the broker thread sees it, without threads: appends go into a real log arena,
 * commits happen at once or when the test says so. Answers and what core was told are kept for the
 * test to look at.
 */
import type { Clock, ErrorCode } from '@ringledger/base'
import {
  decodeCommand,
  patchMessage,
  type RemotingCommand,
  sealEntry,
  writeEntryHeader,
} from '@ringledger/protocol'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import type {
  AnswerClaim,
  AppendResult,
  CoreEvents,
  CorePort,
  PublishedTopic,
  Role,
} from './core-port-api.ts'

const ENTRY_HEADER_BYTES = 48
const ARENA_BYTES = 32 * 1024 * 1024
const MAX_ENTRY_BYTES = 5 * 1024 * 1024

export interface SentFrame {
  readonly connectionId: number
  readonly command: RemotingCommand
}

interface Uncommitted {
  readonly endPosition: number
  readonly result: AppendResult
  readonly onDone: (result: AppendResult) => void
}

export class FakeCorePort implements CorePort {
  readonly arena: LogArena = new LogArena(
    LogArena.allocate({ sizeBytes: ARENA_BYTES, maxEntryBytes: MAX_ENTRY_BYTES }),
  )
  readonly published: Map<string, PublishedTopic> = new Map()
  readonly closed: number[] = []
  servingTerm = -1
  /** Where sends were to be handed on. */
  readonly relays: string[] = []
  /** Broker ids of who was to lead. */
  readonly transfers: number[] = []
  /** Below where the log was to be deleted. */
  readonly trims: number[] = []
  flushes = 0
  /** False: appends wait for `commit()`. */
  autoCommit = true
  /** Every append is refused at once. */
  refuses = false
  /** Appends are taken and then fail with this code; asked for each. */
  failWith: () => ErrorCode | undefined = () => undefined
  readonly #clock: Clock
  readonly #frames: SentFrame[] = []
  readonly #nextOffsets: number[] = []
  #events: ((events: CoreEvents) => void)[] = []
  #uncommitted: Uncommitted[] = []
  #position = 0
  #index = 0
  #chainCrc = 0
  #term = 0
  #claimed: { connectionId: number; bytes: Buffer } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.arena.reset(0)
  }

  get pending(): boolean {
    return this.#events.length > 0
  }

  get endPosition(): number {
    return this.#position
  }

  poll(events: CoreEvents): boolean {
    const arrived = this.#events
    this.#events = []
    for (const deliver of arrived) deliver(events)
    return arrived.length > 0
  }

  claimAnswer(connectionId: number, sizeBytes: number): AnswerClaim {
    const bytes = Buffer.alloc(sizeBytes + 16, 0xee)
    this.#claimed = { connectionId, bytes: bytes.subarray(8, 8 + sizeBytes) }
    return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset: 8 }
  }

  commitAnswer(): void {
    const claimed = this.#claimed
    if (claimed === undefined) throw new Error('nothing is claimed')
    this.#claimed = undefined
    this.send(claimed.connectionId, claimed.bytes)
  }

  send(connectionId: number, frame: Buffer): void {
    if (this.#claimed !== undefined) throw new Error('a claim is open')
    this.#frames.push({ connectionId, command: decodeCommand(Buffer.from(frame)) })
  }

  close(connectionId: number): void {
    this.closed.push(connectionId)
  }

  append(queueSlot: number, message: Buffer, onDone: (result: AppendResult) => void): boolean {
    if (this.refuses) return false
    const failure = this.failWith()
    if (failure !== undefined) {
      this.#events.push(() => onDone({ ok: false, code: failure }))
      return true
    }
    this.#uncommitted.push({ ...this.#write(queueSlot, message), onDone })
    if (this.autoCommit) this.commit()
    return true
  }

  appendBatch(
    queueSlot: number,
    messages: Buffer,
    onDone: (results: readonly AppendResult[]) => void,
  ): boolean {
    if (this.refuses) return false
    const ends: number[] = []
    for (let at = 0; at < messages.length; ) ends.push((at += messages.readInt32BE(at)))
    const results: AppendResult[] = []
    let start = 0
    for (const end of ends) {
      this.append(queueSlot, messages.subarray(start, end), (result) => {
        results.push(result)
        if (results.length === ends.length) onDone(results)
      })
      start = end
    }
    return true
  }

  publishTopic(topic: PublishedTopic): void {
    const known = this.published.get(topic.topic)
    for (let queueId = 0; queueId < topic.queueCount; queueId++) {
      const slot = topic.queueSlotBase + queueId
      if (known?.queueSlotBase === topic.queueSlotBase) continue
      const kept =
        known !== undefined && queueId < known.queueCount
          ? (this.#nextOffsets[known.queueSlotBase + queueId] ?? 0)
          : 0
      this.#nextOffsets[slot] = Math.max(kept, topic.nextOffsets?.[queueId] ?? 0)
    }
    this.published.set(topic.topic, topic)
  }

  removeTopic(topic: string): void {
    this.published.delete(topic)
  }

  serving(term: number, nextOffsets: Iterable<readonly [slot: number, next: number]>): void {
    for (const [slot, next] of nextOffsets) this.#nextOffsets[slot] = next
    this.servingTerm = term
  }

  relayTo(address: string): void {
    this.relays.push(address)
  }

  transfer(brokerId: number): void {
    this.transfers.push(brokerId)
  }

  trim(position: number): void {
    this.trims.push(position)
  }

  endTransfer(done: boolean, reason: string): void {
    this.#events.push((events) => events.onTransferEnded(done, reason))
  }

  flush(): void {
    this.flushes += 1
  }

  // What tests do on the other side.

  deliver(event: (events: CoreEvents) => void): void {
    this.#events.push(event)
  }

  role(role: Role, term: number, barrierEnd: number = this.#position): void {
    this.#term = term
    this.#events.push((events) => events.onRole(role, term, 'n0', barrierEnd))
  }

  /** Everything appended so far commits. */
  commit(): void {
    const committed = this.#uncommitted
    this.#uncommitted = []
    this.arena.committed = this.#position
    for (const { result, onDone } of committed) this.#events.push(() => onDone(result))
  }

  /** Everything that has not committed fails; its bytes leave the log. */
  abort(code: ErrorCode): void {
    const lost = this.#uncommitted
    this.#uncommitted = []
    this.#position = this.arena.committed
    this.arena.truncate(this.#position)
    for (const { onDone } of lost) this.#events.push(() => onDone({ ok: false, code }))
  }

  /** An entry that another leader wrote, or a barrier. Not committed before `commit()`. */
  write(queueSlot: number, message: Buffer): AppendResult {
    return this.#write(queueSlot, message).result
  }

  /** Frames sent since the last call. */
  takeFrames(): SentFrame[] {
    return this.#frames.splice(0)
  }

  #write(queueSlot: number, message: Buffer): { endPosition: number; result: AppendResult } {
    const { arena } = this
    const position = this.#position
    const offset = arena.claim(position, ENTRY_HEADER_BYTES + message.length)
    if (offset < 0) throw new Error('the fake arena is full')
    writeEntryHeader(arena.view, offset, {
      index: this.#index++,
      term: this.#term,
      position,
      bodyBytes: message.length,
    })
    const bodyAt = offset + ENTRY_HEADER_BYTES
    message.copy(arena.bytes, bodyAt)
    const queueOffset = queueSlot < 0 ? 0 : (this.#nextOffsets[queueSlot] ?? 0)
    if (queueSlot >= 0) this.#nextOffsets[queueSlot] = queueOffset + 1
    const physicalOffset = position + ENTRY_HEADER_BYTES
    const storeTimestampMs = this.#clock.wallMs()
    patchMessage(arena.view, bodyAt, queueOffset, physicalOffset, storeTimestampMs)
    this.#chainCrc = sealEntry(arena.bytes, arena.view, offset, this.#chainCrc)
    const endPosition = position + ENTRY_HEADER_BYTES + message.length
    this.#position = endPosition
    arena.appended = endPosition
    arena.durable = endPosition
    return {
      endPosition,
      result: { ok: true, physicalOffset, queueOffset, storeTimestampMs, endPosition },
    }
  }
}
