/**
 * State records: what goes through the log beside messages, so that every node has the same tables
 * (decision 0001). Each is a stored message of a topic of its own whose transaction type hides it
 * from every consume queue, Apache's too. Invariant: applying a sequence of records once more from
 * any point on gives the same tables.
 */
import { LedgerError } from '@ringledger/base'
import {
  encodeMessage,
  MessageSysFlag,
  messageParts,
  messageSize,
  SystemTopic,
} from '@ringledger/protocol'
import {
  type GroupConfig,
  isCount,
  isObject,
  readGroupConfig,
  readTopicConfig,
  type TopicConfig,
} from './configs.ts'
import { readSnapshotPart, type SnapshotPart } from './snapshot.ts'

export const STATE_TOPIC: string = SystemTopic.STATE

export type StateRecord =
  /** `address`: where clients of the new leader connect. */
  | { kind: 'barrier'; term: number; nodeId: string; address?: string }
  | { kind: 'topic'; config: TopicConfig }
  | { kind: 'deleteTopic'; topic: string }
  | { kind: 'group'; config: GroupConfig }
  | { kind: 'deleteGroup'; group: string; cleanOffset: boolean }
  /** Committed offsets; at most MAX_OFFSETS_PER_RECORD entries. */
  | { kind: 'offsets'; entries: [topic: string, group: string, queueId: number, offset: number][] }
  /** Next queue offset of SCHEDULE_TOPIC_XXXX per delay level, 1 and up. */
  | { kind: 'delay'; entries: [level: number, offset: number][] }
  /** Server-side reset: new committed offsets; a broker answers the next pull with OFFSET_RESET. */
  | {
      kind: 'resetOffset'
      topic: string
      group: string
      entries: [queueId: number, offset: number][]
    }
  /** A part of all tables, written now and then so that the records below may go. */
  | (SnapshotPart & { kind: 'snapshot' })

  /**
   * Between the two stand all tables that a group took over from brokers before it: the first
   * empties what was there.
   */
  | { kind: 'takeOver'; step: 'begin' | 'end' }

export const MAX_OFFSETS_PER_RECORD = 4096
const MAX_DELAY_LEVEL = 256

/**
 * The record as a stored message. `storeHost`: 8 bytes (IPv4) or 20, also given as born host.
 * Physical offset and store timestamp are stamped when it is appended; its queue offset stays 0.
 */
export function encodeStateMessage(record: StateRecord, storeHost: Buffer, nowMs: number): Buffer {
  const parts = messageParts({
    topic: STATE_TOPIC,
    body: JSON.stringify(record),
    sysFlag: MessageSysFlag.TRANSACTION_ROLLBACK_TYPE,
    bornTimestampMs: nowMs,
    storeTimestampMs: nowMs,
    bornHost: storeHost,
    storeHost,
  })
  const message = Buffer.alloc(messageSize(parts))
  encodeMessage(message, 0, parts)
  return message
}

/** Throws LedgerError `CORRUPT`, also for a kind of record that only a newer version knows. */
export function decodeStateRecord(text: string): StateRecord {
  const record = readRecord(parse(text))
  if (typeof record === 'string') throw new LedgerError('CORRUPT', `state record: ${record}`)
  return record
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new LedgerError('CORRUPT', 'state record: not JSON', { cause: error })
  }
}

/** The record in `value`, or a text that says what is wrong with it. */
export function readRecord(value: unknown): StateRecord | string {
  if (!isObject(value)) return 'not an object'
  switch (value.kind) {
    case 'barrier':
      if (!isCount(value.term) || typeof value.nodeId !== 'string') {
        return 'a barrier has term and nodeId'
      }
      return {
        kind: 'barrier',
        term: value.term,
        nodeId: value.nodeId,
        ...(typeof value.address === 'string' ? { address: value.address } : {}),
      }
    case 'topic': {
      const config = readTopicConfig(value.config)
      return typeof config === 'string' ? config : { kind: 'topic', config }
    }
    case 'deleteTopic':
      return isName(value.topic)
        ? { kind: 'deleteTopic', topic: value.topic }
        : 'a deleted topic has a name'
    case 'group': {
      const config = readGroupConfig(value.config)
      return typeof config === 'string' ? config : { kind: 'group', config }
    }
    case 'deleteGroup':
      return isName(value.group)
        ? { kind: 'deleteGroup', group: value.group, cleanOffset: value.cleanOffset === true }
        : 'a deleted group has a name'
    case 'takeOver':
      return value.step === 'begin' || value.step === 'end'
        ? { kind: 'takeOver', step: value.step }
        : 'a takeover begins or ends'
    case 'offsets':
    case 'delay':
    case 'resetOffset':
      return readOffsets(value.kind, value)
    case 'snapshot':
      return readSnapshotPart(value)
    default:
      return `unknown kind "${String(value.kind)}"; was it written by a newer version?`
  }
}

function readOffsets(
  kind: 'offsets' | 'delay' | 'resetOffset',
  value: Record<string, unknown>,
): StateRecord | string {
  const { entries, topic, group } = value
  if (!Array.isArray(entries) || entries.length > MAX_OFFSETS_PER_RECORD) {
    return `${kind} has at most ${MAX_OFFSETS_PER_RECORD} entries`
  }
  switch (kind) {
    case 'offsets':
      return entries.every(isOffsetEntry)
        ? { kind, entries }
        : 'an entry is [topic, group, queueId, offset]'
    case 'delay':
      return entries.every((entry) => isPair(entry, MAX_DELAY_LEVEL))
        ? { kind, entries }
        : 'an entry is [level, offset]'
    case 'resetOffset':
      if (!isName(topic) || !isName(group)) return 'a reset names topic and group'
      return entries.every((entry) => isPair(entry, Number.MAX_SAFE_INTEGER))
        ? { kind, topic, group, entries }
        : 'an entry is [queueId, offset]'
  }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.includes('@')
}

function isOffsetEntry(entry: unknown): boolean {
  return (
    Array.isArray(entry) &&
    entry.length === 4 &&
    isName(entry[0]) &&
    isName(entry[1]) &&
    isCount(entry[2]) &&
    isCount(entry[3])
  )
}

function isPair(entry: unknown, largest: number): boolean {
  return (
    Array.isArray(entry) && entry.length === 2 && isCount(entry[0], largest) && isCount(entry[1])
  )
}
