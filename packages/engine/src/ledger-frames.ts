/**
 * The two rings between a ledger's importer and its consensus thread: their frames and sizes. All
 * numbers little endian. Invariant: answers always have room, because an importer never has more
 * under way than {@link OPEN_ANSWER_BYTES} of them.
 *
 * ```
 * APPEND     0 i32 token    4 i32 0        8 the body
 * BATCH      0 i32 token    4 i32 count    8 i32 × count lengths of the bodies, then the bodies
 * READ       0 i32 token    4 i32 0
 *
 * APPENDED   0 i32 token    4 i32 count    8 f64 term    16 f64 index of the first
 *           24 f64 × count positions; indexes follow one another
 * REFUSED    0 i32 token    4 i32 Refusal  8 i32 number of the leader among the members, -1: none
 * CONFIRMED  0 i32 token    4 i32 0        8 f64 index   16 f64 position
 * ```
 *
 * A token comes back once; until then it is not given out again.
 */
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'

export const RequestFrame = { APPEND: 1, BATCH: 2, READ: 3 } as const
export const AnswerFrame = { APPENDED: 1, REFUSED: 2, CONFIRMED: 3 } as const

export const REQUEST_HEAD_BYTES = 8
export const APPENDED_HEAD_BYTES = 24
export const REFUSED_BYTES = 12
export const CONFIRMED_BYTES = 24

/** Why the consensus thread did not do what it was asked. */
export const Refusal = {
  NOT_LEADER: 1,
  HANDING_OVER: 2,
  TOO_LARGE: 3,
  DISK_FULL: 4,
  LEADERSHIP_LOST: 5,
  HALTED: 6,
  /** Halted while the entry was on its way. */
  HALTED_LATE: 7,
} as const
export type Refusal = (typeof Refusal)[keyof typeof Refusal]

const ANSWER_RING_BYTES = 2 * 1024 * 1024
/**
 * A quarter of the ring: what is being read but not given back, and the gap at its end, may each
 * take as much again.
 */
export const OPEN_ANSWER_BYTES: number = ANSWER_RING_BYTES / 4
/** A batch's answer must be short against the ring. */
export const MAX_BATCH_ENTRIES = 16_384
export const MAX_TOKENS = 65_536
const FRAME_HEAD_BYTES = 8
const MIN_REQUEST_RING_BYTES = 4 * 1024 * 1024

export interface LedgerRings {
  readonly requests: SharedArrayBuffer
  readonly answers: SharedArrayBuffer
  /** Bell of the importer's thread. */
  readonly bell: SharedArrayBuffer
}

/** The longest entry and {@link REQUEST_HEAD_BYTES} fit into one frame, half of the ring. */
export function allocateRings(maxEntryBytes: number): LedgerRings {
  let requestBytes = MIN_REQUEST_RING_BYTES
  while (requestBytes / 2 < maxEntryBytes + 64) requestBytes *= 2
  return {
    requests: SpscRing.allocate(requestBytes),
    answers: SpscRing.allocate(ANSWER_RING_BYTES),
    bell: Doorbell.allocate(),
  }
}

/** Bytes that the answer to an append of `count` entries may take in its ring. */
export function answerBytes(count: number): number {
  return FRAME_HEAD_BYTES + APPENDED_HEAD_BYTES + 8 * count
}
