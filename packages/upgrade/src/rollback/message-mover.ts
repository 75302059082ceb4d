/**
 * Takes messages from a member's log into the new plain one. Owns what changes in them: their
 * physical offset, and the field that names a half message, or in ours the progress of a delay.
 */
import {
  equalBytes,
  getInt64,
  MessageSysFlag,
  msgBodyRange,
  msgStoreTimestamp,
  msgTopicRange,
  offsetMessageIdOfHost,
  PHYSICAL_OFFSET_AT,
  preparedTransactionOffsetAt,
  SYS_FLAG_AT,
  SystemTopic,
  setInt64,
  storeHostAt,
  storeHostBytes,
  transactionType,
} from '@ringledger/protocol'
import { noteMessage } from '../message-tally.ts'
import type { WalkedMessage } from './log-walks.ts'
import type { LogWindow } from './log-window.ts'
import type { PlainLogWriter } from './plain-log-writer.ts'
import type { Tally } from './rollback-progress.ts'
import type { MovedMessage, StoreBuilder } from './rollback-types.ts'

const STATE_TOPIC: Buffer = Buffer.from(SystemTopic.STATE)

export class MessageMover {
  readonly #divided: number
  readonly #window: LogWindow
  readonly #writer: PlainLogWriter
  readonly #builder: StoreBuilder
  readonly #tally: Tally

  /** `divided`: offsets below it are what they were. */
  constructor(
    divided: number,
    window: LogWindow,
    writer: PlainLogWriter,
    builder: StoreBuilder,
    tally: Tally = { messages: 0, unmovedMessages: 0, stateRecords: 0 },
  ) {
    this.#divided = divided
    this.#window = window
    this.#writer = writer
    this.#builder = builder
    this.#tally = { ...tally }
  }

  get tally(): Tally {
    return { ...this.#tally }
  }

  /** A message of the plain part stays where it was. */
  copyPlain(message: WalkedMessage): void {
    this.#write(message, this.#writer.claim(message.sizeBytes, message.position), true)
    this.#tally.unmovedMessages++
  }

  /** A message of the Raft part comes right behind the one before; a state record does not. */
  moveEntry(message: WalkedMessage): void {
    const { bytes, view } = this.#window
    const sysFlag = view.getInt32(message.start + SYS_FLAG_AT)
    const kind = transactionType(sysFlag)
    if (kind === MessageSysFlag.TRANSACTION_ROLLBACK_TYPE && isState(bytes, message.start)) {
      const { start, end } = msgBodyRange(bytes, message.start)
      const text = bytes.toString('utf8', start, end)
      this.#builder.applyRecord(text, message.position, message.endPosition)
      this.#tally.stateRecords++
      return
    }
    const offset = this.#writer.claim(message.sizeBytes)
    this.#tally.firstMoved ??= this.#describe(message, offset)
    this.#takeReference(message, sysFlag)
    setInt64(view, message.start + PHYSICAL_OFFSET_AT, offset)
    this.#write(message, offset, false)
  }

  /** The window's copy of the message is changed, never the file. */
  #takeReference(message: WalkedMessage, sysFlag: number): void {
    const { view } = this.#window
    const at = message.start + preparedTransactionOffsetAt(sysFlag)
    const reference = getInt64(view, at)
    if (reference === 0) return
    if (transactionType(sysFlag) === MessageSysFlag.TRANSACTION_NOT_TYPE) {
      this.#builder.applyDelayMark(reference, message.position, message.endPosition)
      setInt64(view, at, 0)
    } else if (reference >= this.#divided) setInt64(view, at, 0)
  }

  #write(message: WalkedMessage, offset: number, wasPlain: boolean): void {
    const { bytes } = this.#window
    const { start, sizeBytes } = message
    const writer = this.#writer
    const place = writer.place(offset)
    bytes.copy(writer.bytes, place, start, start + sizeBytes)
    writer.noteTime(msgStoreTimestamp(writer.bytes, place))
    this.#builder.addMessage(writer.bytes, writer.view, place, sizeBytes, offset, wasPlain)
    this.#tally.messages++
  }

  #describe({ start, fromOffset }: WalkedMessage, offset: number): MovedMessage {
    const { bytes, view } = this.#window
    const sysFlag = view.getInt32(start + SYS_FLAG_AT)
    const hostAt = start + storeHostAt(sysFlag)
    const host = bytes.subarray(hostAt, hostAt + storeHostBytes(sysFlag))
    return {
      ...noteMessage(bytes, start),
      offset,
      fromOffset,
      fromId: offsetMessageIdOfHost(host, fromOffset),
      toId: offsetMessageIdOfHost(host, offset),
    }
  }
}

function isState(bytes: Buffer, start: number): boolean {
  const topic = msgTopicRange(bytes, start)
  return equalBytes(bytes, topic.start, topic.end, STATE_TOPIC, 0, STATE_TOPIC.length)
}
