/**
 * Committed messages by physical offset, copied from the log arena while it has them, else from the
 * segment files, or from the plain log below the Raft log. Owns the rule that nothing above the
 * committed position is ever shown, and nothing that is not the start of a message.
 */
import { LedgerError } from '@ringledger/base'
import {
  checkMessage,
  crc32,
  ENTRY_HEADER_BYTES,
  entryBodyBytes,
  entryBodyCrc,
  entryChainCrc,
  entryMagic,
  entryPosition,
  MAGIC_NORMAL,
  MESSAGE_MAGIC_V1,
  MESSAGE_MAGIC_V2,
  MIN_MESSAGE_BYTES,
  msgMagic,
  msgPhysicalOffset,
  msgStoreTimestamp,
  msgTotalSize,
} from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import { LOG_BLOCK_BYTES, LogBlocks } from './log-blocks.ts'
import type { PlainLog } from './plain-log.ts'
import { readLog } from './read-ahead.ts'

/** What this package needs of the segment files; `LogFileReader` of @ringledger/io has it. */
export interface LogFiles {
  /**
   * Copies up to `maxBytes` of the log from `position` on, perhaps fewer; 0 when the files do not
   * have it.
   */
  read(position: number, target: Buffer, offset: number, maxBytes: number): number
  /**
   * Says that the bytes at `position` are not what was written, so that they are repaired; the
   * error, LedgerError `CORRUPT`, is to be thrown.
   */
  damaged?(position: number, reason: string): Error
  /** Files were deleted, or made anew: what is open of them is closed. */
  forget?(position: number): void
  /** What lies below the Raft log; `read` gives its bytes too. */
  readonly plain?: PlainLog
}

/** Bytes of the log are not what was written; they may be repaired. */
export class DamagedLogError extends LedgerError {
  constructor(files: LogFiles, position: number, reason: string) {
    const told = files.damaged?.(position, reason)
    super('CORRUPT', told?.message ?? `the log is damaged at position ${position} (${reason})`)
  }
}

const CHECK = { verifyBodyCrc: true }
/** Entry header and as much of a message as holds its store timestamp, IPv6 hosts included. */
const HEAD_BYTES = ENTRY_HEADER_BYTES + MIN_MESSAGE_BYTES
/** So many messages of one block are cheaper read with all that lies between them. */
const MIN_MESSAGES_OF_BLOCK = 3

export class MessageReader {
  readonly #arena: LogArena
  readonly #files: LogFiles
  readonly #blocks: LogBlocks
  /** Messages below it stand in a plain log, without an entry around them. */
  readonly #dividedPosition: number
  readonly #head: Buffer = Buffer.alloc(HEAD_BYTES)
  readonly #headView: DataView = new DataView(this.#head.buffer, this.#head.byteOffset, HEAD_BYTES)
  readonly #verified: Buffer = Buffer.alloc(ENTRY_HEADER_BYTES)
  readonly #verifiedView: DataView = new DataView(
    this.#verified.buffer,
    this.#verified.byteOffset,
    ENTRY_HEADER_BYTES,
  )
  /**
   * Committed position as last seen; it only rises, so it is looked up only for a message above it.
   */
  #committed = 0
  #firstPosition = 0

  constructor(arena: LogArena, files: LogFiles) {
    this.#arena = arena
    this.#files = files
    this.#blocks = new LogBlocks(files)
    this.#dividedPosition = files.plain?.dividedPosition ?? 0
  }

  /** What lies below is gone, whatever may still be found of it. */
  get firstPosition(): number {
    return this.#firstPosition
  }

  set firstPosition(position: number) {
    this.#firstPosition = position
    this.#blocks.forget()
  }

  /**
   * The first `count` of these messages, by rising offset, are to be read next: what of them lies
   * in files is read by larger pieces where that is cheaper.
   */
  expect(physicalOffsets: Float64Array, sizesBytes: Int32Array, count: number): void {
    if (count === 0 || this.#arena.holds((physicalOffsets[0] as number) - ENTRY_HEADER_BYTES))
      return
    let at = 0
    while (at < count) {
      const block = blockOf(physicalOffsets[at] as number)
      let next = at + 1
      while (next < count && blockOf(physicalOffsets[next] as number) === block) next++
      if (next - at >= MIN_MESSAGES_OF_BLOCK) {
        const last = next - 1
        this.#loadBlocks(
          (physicalOffsets[at] as number) - ENTRY_HEADER_BYTES,
          (physicalOffsets[last] as number) + (sizesBytes[last] as number),
        )
      }
      at = next
    }
  }

  /** Physical offset of the message whose entry begins at `position`. */
  messageOffsetAt(position: number): number {
    return position < this.#dividedPosition ? position : position + ENTRY_HEADER_BYTES
  }

  /**
   * Copies one stored message; false when it is not committed, gone, or no message of that size
   * starts there. @throws DamagedLogError
   */
  read(physicalOffset: number, sizeBytes: number, target: Buffer, targetOffset: number): boolean {
    if (sizeBytes < MIN_MESSAGE_BYTES || targetOffset + sizeBytes > target.length) return false
    if (!this.#isCommitted(physicalOffset, sizeBytes)) return false
    if (!this.#copy(physicalOffset, sizeBytes, target, targetOffset)) return false
    return isMessageOf(target, targetOffset, sizeBytes)
  }

  /**
   * Size of the message that starts exactly there, -1 when none does. Safe for any number a client
   * sends.
   */
  sizeAt(physicalOffset: number): number {
    if (this.#isPlain(physicalOffset)) return this.#plainSizeAt(physicalOffset)
    if (!this.#readHead(physicalOffset)) return -1
    return entryBodyBytes(this.#headView, 0)
  }

  /** When the message of that size was stored, in ms; -1 when it is not there. */
  storeTimestampAt(physicalOffset: number, sizeBytes: number): number {
    if (sizeBytes < MIN_MESSAGE_BYTES || !this.#isCommitted(physicalOffset, sizeBytes)) return -1
    const head = this.#head
    if (!this.#copy(physicalOffset, MIN_MESSAGE_BYTES, head, 0)) return -1
    return isMessageOf(head, 0, sizeBytes) ? msgStoreTimestamp(head, 0) : -1
  }

  #loadBlocks(from: number, end: number): void {
    if (from < this.#firstPosition) return
    if (!this.#isCommitted(from + ENTRY_HEADER_BYTES, end - from - ENTRY_HEADER_BYTES)) return
    // The arena's, for the mark kept here may be older than what is in the block.
    const { committed } = this.#arena
    for (let at = from; at < end; at += LOG_BLOCK_BYTES - (at % LOG_BLOCK_BYTES)) {
      this.#blocks.load(at, committed)
    }
  }

  #isCommitted(physicalOffset: number, sizeBytes: number): boolean {
    const isPlain = this.#isPlain(physicalOffset)
    const first = isPlain
      ? this.firstPosition
      : Math.max(this.firstPosition, this.#dividedPosition) + ENTRY_HEADER_BYTES
    if (!Number.isSafeInteger(physicalOffset) || physicalOffset < first) return false
    const end = physicalOffset + sizeBytes
    if (isPlain) return end <= (this.#files.plain?.endPosition ?? 0)
    if (end <= this.#committed) return true
    this.#committed = this.#arena.committed
    return end <= this.#committed
  }

  #isPlain(physicalOffset: number): boolean {
    return physicalOffset < this.#dividedPosition
  }

  #plainSizeAt(physicalOffset: number): number {
    const head = this.#head
    if (!this.#isCommitted(physicalOffset, MIN_MESSAGE_BYTES)) return -1
    if (!this.#readFiles(physicalOffset, MIN_MESSAGE_BYTES, head, 0)) return -1
    const sizeBytes = msgTotalSize(head, 0)
    const isThere = isMessageOf(head, 0, sizeBytes) && msgPhysicalOffset(head, 0) === physicalOffset
    const fits = sizeBytes >= MIN_MESSAGE_BYTES && this.#isCommitted(physicalOffset, sizeBytes)
    return isThere && fits ? sizeBytes : -1
  }

  /** Of the whole message, or of its beginning. */
  #copyPlain(physicalOffset: number, sizeBytes: number, target: Buffer, offset: number): boolean {
    if (!this.#readFiles(physicalOffset, sizeBytes, target, offset)) return false
    const found = checkMessage(target, offset, sizeBytes, CHECK)
    if (found !== 'bodyCrc') return true
    this.#blocks.forget()
    throw new DamagedLogError(this.#files, physicalOffset, found)
  }

  /**
   * The entry header and the message's first bytes, checked to be those of a message at that place.
   */
  #readHead(physicalOffset: number): boolean {
    if (!this.#isCommitted(physicalOffset, MIN_MESSAGE_BYTES)) return false
    const position = physicalOffset - ENTRY_HEADER_BYTES
    const view = this.#headView
    if (!this.#copyRange(position, HEAD_BYTES, this.#head, 0)) return false
    if (entryMagic(view, 0) !== MAGIC_NORMAL || entryPosition(view, 0) !== position) return false
    const sizeBytes = entryBodyBytes(view, 0)
    return (
      sizeBytes >= MIN_MESSAGE_BYTES &&
      isMessageOf(this.#head, ENTRY_HEADER_BYTES, sizeBytes) &&
      this.#isCommitted(physicalOffset, sizeBytes)
    )
  }

  #copy(physicalOffset: number, sizeBytes: number, target: Buffer, targetOffset: number): boolean {
    if (this.#isPlain(physicalOffset)) {
      return this.#copyPlain(physicalOffset, sizeBytes, target, targetOffset)
    }
    const arena = this.#arena
    const position = physicalOffset - ENTRY_HEADER_BYTES
    if (arena.holds(position)) {
      const start = arena.offsetOf(position) + ENTRY_HEADER_BYTES
      if (start + sizeBytes <= arena.bytes.length) {
        arena.bytes.copy(target, targetOffset, start, start + sizeBytes)
        if (arena.holds(position)) return true
      }
    }
    if (!this.#readFiles(physicalOffset, sizeBytes, target, targetOffset)) return false
    this.#verify(position, sizeBytes, target, targetOffset)
    return true
  }

  /** Is what came from a file what was written? Where an entry of that size stands it must be. */
  #verify(position: number, sizeBytes: number, target: Buffer, targetOffset: number): void {
    if (!this.#readFiles(position, ENTRY_HEADER_BYTES, this.#verified, 0)) return
    const header = this.#verifiedView
    const bodyCrc = entryBodyCrc(header, 0)
    const isSealed = bodyCrc !== 0 || entryChainCrc(header, 0) !== 0
    if (!isSealed) return
    const isEntry = entryMagic(header, 0) === MAGIC_NORMAL && entryPosition(header, 0) === position
    if (isEntry && entryBodyBytes(header, 0) > sizeBytes) return
    if (isEntry && crc32(target, targetOffset, targetOffset + sizeBytes) === bodyCrc) return
    this.#blocks.forget()
    throw new DamagedLogError(this.#files, position, 'bodyCrc')
  }

  /**
   * As `#copy`, from the entry's first byte; `position` may be anything, so what is found there
   * must be checked.
   */
  #copyRange(position: number, sizeBytes: number, target: Buffer, targetOffset: number): boolean {
    const arena = this.#arena
    if (arena.holds(position)) {
      const start = arena.offsetOf(position)
      arena.bytes.copy(target, targetOffset, start, start + sizeBytes)
      if (arena.holds(position)) return true
    }
    return this.#readFiles(position, sizeBytes, target, targetOffset)
  }

  #readFiles(position: number, sizeBytes: number, target: Buffer, targetOffset: number): boolean {
    if (this.#blocks.copy(position, sizeBytes, target, targetOffset)) return true
    return readLog(this.#files, position, target, targetOffset, sizeBytes) === sizeBytes
  }
}

function blockOf(physicalOffset: number): number {
  return Math.floor(physicalOffset / LOG_BLOCK_BYTES)
}

function isMessageOf(bytes: Buffer, offset: number, sizeBytes: number): boolean {
  const magic = msgMagic(bytes, offset)
  return (
    msgTotalSize(bytes, offset) === sizeBytes &&
    (magic === MESSAGE_MAGIC_V1 || magic === MESSAGE_MAGIC_V2)
  )
}
