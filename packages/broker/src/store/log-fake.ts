/**
 * A log for tests: entries in a small arena and, as if all of it were durable, in one growing
 * buffer that stands for the segment files. Owns the same layout rules as the real one: blanks at
 * segment ends, physical offset = position + 48.
 */
import {
  blankNeeded,
  ENTRY_HEADER_BYTES,
  encodeMessage,
  type MessageInit,
  messageParts,
  messageSize,
  patchMessage,
  sealEntry,
  writeBlank,
  writeEntryHeader,
} from '@ringledger/protocol'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { LogFiles } from './message-reader.ts'

export interface FakeLogOptions {
  segmentBytes?: number
  arenaBytes?: number
  maxEntryBytes?: number
}

export class FakeLog implements LogFiles {
  readonly arena: LogArena
  #segmentBytes: number
  #bytes: Buffer
  #view: DataView
  #end = 0
  #index = 0
  #chainCrc = 0
  /** Told of damage that a reader met. */
  damaged?: (position: number, reason: string) => Error
  #filesEnd = Number.POSITIVE_INFINITY
  /** Deleted below. */
  filesBegin = 0

  constructor(options: FakeLogOptions = {}) {
    this.#segmentBytes = options.segmentBytes ?? 1 << 20
    const { arenaBytes = 64 * 1024, maxEntryBytes = 8 * 1024 } = options
    this.arena = new LogArena(LogArena.allocate({ sizeBytes: arenaBytes, maxEntryBytes }))
    this.#bytes = Buffer.alloc(1 << 20)
    this.#view = new DataView(this.#bytes.buffer)
  }

  get end(): number {
    return this.#end
  }

  /** Appends and commits; returns the physical offset. */
  append(init: MessageInit): number {
    const parts = messageParts(init)
    const message = Buffer.alloc(messageSize(parts))
    encodeMessage(message, 0, parts)
    return this.appendBytes(message, init.queueOffset ?? 0, init.storeTimestampMs ?? 0)
  }

  appendBytes(message: Buffer, queueOffset: number, storeTimestampMs: number): number {
    const entryBytes = ENTRY_HEADER_BYTES + message.length
    const blank = blankNeeded(this.#end % this.#segmentBytes, entryBytes, this.#segmentBytes)
    this.#reserve(this.#end + blank + entryBytes)
    if (blank > 0) {
      writeBlank(this.#bytes, this.#view, this.#end, blank)
      this.#toArena(this.#end, blank)
      this.#end += blank
    }
    const position = this.#end
    const header = { index: this.#index++, term: 1, position, bodyBytes: message.length }
    writeEntryHeader(this.#view, position, header)
    const physicalOffset = position + ENTRY_HEADER_BYTES
    message.copy(this.#bytes, physicalOffset)
    patchMessage(this.#view, physicalOffset, queueOffset, physicalOffset, storeTimestampMs)
    this.#chainCrc = sealEntry(this.#bytes, this.#view, position, this.#chainCrc)
    this.#toArena(position, entryBytes)
    this.#end += entryBytes
    this.arena.durable = this.#end
    this.arena.committed = this.#end
    return physicalOffset
  }

  read(position: number, target: Buffer, offset: number, maxBytes: number): number {
    const end = Math.min(this.#end, this.#filesEnd, position + maxBytes)
    if (end <= position || position < this.filesBegin) return 0
    return this.#bytes.copy(target, offset, position, end)
  }

  /** The same log after a restart: nothing in the arena, everything committed. */
  restarted(): FakeLog {
    const next = new FakeLog({
      segmentBytes: this.#segmentBytes,
      arenaBytes: this.arena.sizeBytes,
      maxEntryBytes: this.arena.maxEntryBytes,
    })
    next.#bytes = this.#bytes
    next.#view = this.#view
    next.#end = this.#end
    next.filesBegin = this.filesBegin
    next.#chainCrc = this.#chainCrc
    next.#index = this.#index
    next.arena.reset(this.#end)
    next.arena.committed = this.#end
    return next
  }

  /** Damages one byte, in the files only. */
  damage(position: number): void {
    this.#bytes[position]! ^= 0xff
  }

  #toArena(position: number, sizeBytes: number): void {
    const { arena } = this
    const offset = arena.claim(position, sizeBytes)
    if (offset < 0) throw new Error('the arena of a fake log has everything durable')
    this.#bytes.copy(arena.bytes, offset, position, position + sizeBytes)
    arena.appended = position + sizeBytes
  }

  #reserve(sizeBytes: number): void {
    if (sizeBytes <= this.#bytes.length) return
    const larger = Buffer.alloc(Math.max(sizeBytes, this.#bytes.length * 2))
    this.#bytes.copy(larger)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}
