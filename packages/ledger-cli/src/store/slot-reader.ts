/**
 * The two-slot records of a stopped store, `ringledger-hardstate`, `ringledger-durable` and
 * `ringledger-lost` (docs/protocol/files.md), read without writing.
 */
import { readFileSync } from 'node:fs'
import { crc32, getInt64 } from '@ringledger/protocol'

const SLOT_BYTES = 4096
const SLOTS = 2
const SEQUENCE_AT = 8
const PAYLOAD_BYTES_AT = 16
const CRC_AT = 20
const PAYLOAD_AT = 24
const MAX_PAYLOAD_BYTES = 488
const HARD_STATE_MAGIC = 0x52_4c_48_53
const MARK_MAGIC = 0x52_4c_44_4d
const MARK_BYTES = 64
const LOST_MAGIC = 0x52_4c_4c_4c
const LOST_BYTES = 40
const MIN_HARD_STATE_BYTES = 10
const NO_VOTE = 0xffff

export interface SlotRecord {
  readonly exists: boolean
  /** Slots, 0 and 1, that fail their checksum. */
  readonly badSlots: readonly number[]
  /** Of the newest valid slot. */
  readonly payload: Buffer | undefined
}

export interface HardStateRecord extends SlotRecord {
  readonly term: number | undefined
  readonly votedFor: string | undefined
}

export interface MarkRecord extends SlotRecord {
  readonly state: 'running' | 'truncating' | 'clean' | undefined
  readonly position: number
  readonly index: number
  readonly committedIndex: number
  readonly segmentBytes: number | undefined
}

export interface LostRecord extends SlotRecord {
  /**
   * What the node once had up to here is not all there again; undefined when nothing is missing.
   */
  readonly untilPosition: number | undefined
}

export function readLost(path: string): LostRecord {
  const record = readSlots(path, LOST_MAGIC, LOST_BYTES)
  const { payload } = record
  const isMissing = payload !== undefined && payload.readUInt32BE(0) !== 0
  return { ...record, untilPosition: isMissing ? getInt64(viewOf(payload), 8) : undefined }
}

export function readHardState(path: string): HardStateRecord {
  const record = readSlots(path, HARD_STATE_MAGIC, MIN_HARD_STATE_BYTES)
  const { payload } = record
  if (payload === undefined) return { ...record, term: undefined, votedFor: undefined }
  const hasVote = payload.readUInt16BE(8) !== NO_VOTE
  const votedFor = hasVote ? payload.toString('utf8', MIN_HARD_STATE_BYTES) : undefined
  return { ...record, term: getInt64(viewOf(payload), 0), votedFor }
}

export function readMark(path: string): MarkRecord {
  const record = readSlots(path, MARK_MAGIC, MARK_BYTES)
  const { payload } = record
  if (payload === undefined) {
    const nothing = { state: undefined, position: 0, index: -1, committedIndex: -1 }
    return { ...record, ...nothing, segmentBytes: undefined }
  }
  const view = viewOf(payload)
  return {
    ...record,
    state: (['running', 'truncating', 'clean'] as const)[payload.readUInt32BE(0)],
    position: getInt64(view, 8),
    index: getInt64(view, 16),
    committedIndex: getInt64(view, 40),
    segmentBytes: getInt64(view, 56),
  }
}

function readSlots(path: string, magic: number, minPayloadBytes: number): SlotRecord {
  let file: Buffer
  try {
    file = readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return { exists: false, badSlots: [], payload: undefined }
  }
  const badSlots: number[] = []
  let newest = 0
  let payload: Buffer | undefined
  for (let slot = 0; slot < SLOTS; slot++) {
    const bytes = file.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES)
    const found = payloadOf(bytes, magic)
    if (found === undefined || found.length < minPayloadBytes) {
      badSlots.push(slot)
      continue
    }
    const sequence = bytes.readDoubleBE(SEQUENCE_AT)
    if (sequence > newest) payload = found
    newest = Math.max(newest, sequence)
  }
  return { exists: true, badSlots, payload }
}

/** Undefined when the slot is not whole. */
function payloadOf(slot: Buffer, magic: number): Buffer | undefined {
  if (slot.length < PAYLOAD_AT + MAX_PAYLOAD_BYTES || slot.readUInt32BE(0) !== magic) {
    return undefined
  }
  const payloadBytes = slot.readUInt32BE(PAYLOAD_BYTES_AT)
  if (payloadBytes > MAX_PAYLOAD_BYTES) return undefined
  const head = crc32(slot, 0, CRC_AT)
  const expected = crc32(slot, PAYLOAD_AT, PAYLOAD_AT + payloadBytes, head)
  if (slot.readUInt32BE(CRC_AT) !== expected) return undefined
  return slot.subarray(PAYLOAD_AT, PAYLOAD_AT + payloadBytes)
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
