/**
 * The two walks over a member's log: messages of the plain part, entries of the Raft part. Each
 * step checks what it finds; owns the decision whether a log ends somewhere or is damaged there.
 */
import {
  CHANNEL_NORMAL,
  checkEntry,
  checkMessage,
  ENTRY_HEADER_BYTES,
  entryChainCrc,
  entryChannel,
  entryIndex,
  entrySize,
  entryTerm,
  msgPhysicalOffset,
  msgTotalSize,
  PLAIN_LOG_BLANK_MAGIC,
} from '@ringledger/protocol'
import { RollbackRefused } from '../refused.ts'
import type { LogWindow } from './log-window.ts'
import type { RollbackSource } from './rollback-source.ts'

/** Longer than what any broker takes; a length beyond it is damage. */
const MAX_MESSAGE_BYTES = 256 * 1024 * 1024
const HEAD_BYTES = 8
const CHECK_BODY = { verifyBodyCrc: true }
const CHECK_SHAPE = { verifyBodyCrc: false }
const TAKE_ANOTHER =
  'roll back the store of another member, or have this one repaired by its group first'

/** A message that a walk stands at; its bytes are the window's, valid until the next step. */
export class WalkedMessage {
  /** In the window's bytes. */
  start = 0
  sizeBytes = 0
  /** What the message calls its physical offset. */
  fromOffset = 0
  /** Where its entry, or itself, begins and ends. */
  position = 0
  endPosition = 0
}

/** Walks [position, divided); messages are told apart from the file's ends. */
export class PlainWalk {
  readonly #source: RollbackSource
  readonly #window: LogWindow
  position: number

  constructor(source: RollbackSource, window: LogWindow, position: number) {
    this.#source = source
    this.#window = window
    this.position = position
  }

  /** False at the end of the plain part. @throws RollbackRefused for damage */
  next(out: WalkedMessage): boolean {
    const { divided, segmentBytes } = this.#source
    while (this.position < divided) {
      const { position } = this
      const left = this.#window.leftInFile(position)
      const reason = this.#look(position, left, out)
      if (reason === 'ok') {
        this.position = out.endPosition
        return true
      }
      const isLastFile = position + left === divided
      if (reason !== 'end' && !(isLastFile && reason === 'unused')) {
        const file = `file ${position - (position % segmentBytes)}`
        throw damaged('the log before DLedger mode', position, reason, file)
      }
      this.position += left
    }
    return false
  }

  #look(position: number, left: number, out: WalkedMessage): string {
    if (left < HEAD_BYTES) return 'short'
    const window = this.#window
    window.load(position, HEAD_BYTES)
    const head = window.at(position)
    const size = window.view.getInt32(head)
    const magic = window.view.getInt32(head + 4)
    if (magic === PLAIN_LOG_BLANK_MAGIC) return size === left ? 'end' : 'a blank of a wrong size'
    if (size === 0 && magic === 0) return 'unused'
    if (size < HEAD_BYTES || size > Math.min(left, MAX_MESSAGE_BYTES)) return 'size'
    const held = window.load(position, size)
    const start = window.at(position)
    const found = checkMessage(window.bytes, start, held, CHECK_BODY)
    if (found !== 'ok') return found
    out.start = start
    out.sizeBytes = msgTotalSize(window.bytes, start)
    out.fromOffset = msgPhysicalOffset(window.bytes, start)
    out.position = position
    out.endPosition = position + out.sizeBytes
    return out.fromOffset === position ? 'ok' : 'offset'
  }
}

/** Where a Raft walk stands; plain JSON, so that a later run can take it up. */
export interface RaftPlace {
  readonly position: number
  /** Of the entry before; -1 when there was none. */
  readonly index: number
  readonly term: number
  /** Undefined when it is not known. */
  readonly chainCrc?: number | undefined
  /** An entry with checksums was passed: from there on all have them. */
  readonly sealed: boolean
}

/** Walks the entries from `place` on to where they end. */
export class RaftWalk {
  readonly #source: RollbackSource
  readonly #window: LogWindow
  place: RaftPlace
  readonly #expected: { position: number; index?: number; previousChainCrc?: number | undefined }

  constructor(source: RollbackSource, window: LogWindow, place: RaftPlace) {
    this.#source = source
    this.#window = window
    this.place = place
    this.#expected = { position: 0 }
  }

  /** False at the end of the log. @throws RollbackRefused for damage before it */
  next(out: WalkedMessage): boolean {
    for (;;) {
      const { position } = this.place
      if (!this.#window.has(position)) return this.#ended('unused')
      const found = this.#look(position)
      if (found === 'blank') {
        const sizeBytes = entrySize(this.#window.view, this.#window.at(position))
        if (sizeBytes > this.#window.leftInFile(position)) return this.#ended('size')
        this.place = { ...this.place, position: position + sizeBytes }
        continue
      }
      const isEntry = found === 'ok' || (found === 'legacy' && !this.place.sealed)
      if (!isEntry) return this.#ended(found)
      this.#take(position, found === 'ok', out)
      return true
    }
  }

  #look(position: number): string {
    const window = this.#window
    const left = window.leftInFile(position)
    if (left < HEAD_BYTES) return 'short'
    window.load(position, Math.min(left, ENTRY_HEADER_BYTES))
    const claimed = entrySize(window.view, window.at(position))
    const wanted = claimed > 0 && claimed <= MAX_MESSAGE_BYTES ? claimed : HEAD_BYTES
    const held = window.load(position, Math.min(left, wanted))
    const { index, chainCrc } = this.place
    this.#expected.position = position
    if (index >= 0) this.#expected.index = index + 1
    this.#expected.previousChainCrc = chainCrc
    return checkEntry(window.bytes, window.view, window.at(position), held, this.#expected)
  }

  #take(position: number, sealed: boolean, out: WalkedMessage): void {
    const window = this.#window
    const at = window.at(position)
    const sizeBytes = entrySize(window.view, at)
    const start = at + ENTRY_HEADER_BYTES
    const index = entryIndex(window.view, at)
    const bodyBytes = sizeBytes - ENTRY_HEADER_BYTES
    const found =
      entryChannel(window.view, at) === CHANNEL_NORMAL
        ? checkMessage(window.bytes, start, bodyBytes, sealed ? CHECK_SHAPE : CHECK_BODY)
        : 'an entry of a log without a broker'
    const fromOffset = found === 'ok' ? msgPhysicalOffset(window.bytes, start) : -1
    const fits = found === 'ok' && msgTotalSize(window.bytes, start) === bodyBytes
    if (!fits || fromOffset !== position + ENTRY_HEADER_BYTES) {
      const reason = found === 'ok' ? 'no message that stands there' : found
      throw damaged('the Raft log', position, reason, `entry ${index}`)
    }
    out.start = start
    out.sizeBytes = bodyBytes
    out.fromOffset = fromOffset
    out.position = position
    out.endPosition = position + sizeBytes
    this.place = {
      position: out.endPosition,
      index,
      term: entryTerm(window.view, at),
      chainCrc: entryChainCrc(window.view, at),
      sealed: this.place.sealed || sealed,
    }
  }

  /** What the member once knew to be there must be there. */
  #ended(reason: string): false {
    const { committedIndex, endIndex } = this.#source
    const known = reason === 'unused' ? committedIndex : Math.max(committedIndex, endIndex)
    const { position, index } = this.place
    if (index < known) throw damaged('the Raft log', position, reason, `entry ${index + 1}`)
    return false
  }
}

function damaged(log: string, offset: number, reason: string, part: string): RollbackRefused {
  return new RollbackRefused(
    `${log} is damaged at offset ${offset} (${reason}; ${part})`,
    TAKE_ANOTHER,
  )
}
