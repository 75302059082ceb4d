/**
 * The seam between the core thread and the IO thread: one ring each way, and the IO thread's bell.
 * Owns the layout of the frames. Fields are float64 or int32 in the ring's data view, texts UTF-8
 * at the end.
 *
 *   core to io
 *     WRITE            toPosition f64
 *     TRUNCATE         position f64, id i32
 *     HARD_STATE       term f64, id i32, vote bytes i32 (-1: none), vote
 *     CHECKPOINT       position f64, index f64
 *     REMOVE_BELOW     position f64
 *     CLOSE
 *     RESET            position f64, index f64, lost until f64, term f64, id i32
 *     HEALED
 *     CHECK            position f64
 *     SCRUB
 *     REPAIR           position f64, bytes i32; the bytes lie in `repair`
 *   io to core
 *     TRUNCATED        end f64, last index f64, last term f64, last chainCrc f64, id i32;
 *                      answers RESET too
 *     HARD_STATE_SAVED id i32
 *     FAILED           file bytes i32, error bytes i32, file, error
 *     DISK_FULL, DISK_OK, CLOSED
 *     REMOVED          first position f64, first index f64, sound position f64
 *     FOUND            position f64, index f64, repaired i32, path bytes i32, reason bytes i32,
 *                      path, reason
 *     HOLE             position f64, end f64, index f64, term f64
 *     REPAIRED         position f64, sound position f64, last chainCrc f64, refusal bytes i32,
 *                      refusal
 *     CHECKED          position f64
 *     SCRUBBED
 */
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'

export const IoCommand = {
  WRITE: 0,
  TRUNCATE: 1,
  HARD_STATE: 2,
  CHECKPOINT: 3,
  REMOVE_BELOW: 4,
  CLOSE: 5,
  RESET: 6,
  HEALED: 7,
  CHECK: 8,
  SCRUB: 9,
  REPAIR: 10,
} as const
export type IoCommand = (typeof IoCommand)[keyof typeof IoCommand]

export const IoEvent = {
  TRUNCATED: 0,
  HARD_STATE_SAVED: 1,
  FAILED: 2,
  DISK_FULL: 3,
  DISK_OK: 4,
  REMOVED: 5,
  CLOSED: 6,
  FOUND: 7,
  HOLE: 8,
  REPAIRED: 9,
  CHECKED: 10,
  SCRUBBED: 11,
} as const
export type IoEvent = (typeof IoEvent)[keyof typeof IoEvent]

/** Shared memory of the seam; goes in `workerData`. */
export interface IoPort {
  readonly commands: SharedArrayBuffer
  readonly events: SharedArrayBuffer
  /** The IO thread's bell. */
  readonly doorbell: SharedArrayBuffer
  /** An entry from a peer on its way to the place of a damaged one. */
  readonly repair: SharedArrayBuffer
  /** Int64: 0, or one more than a position at which a reader on any thread met damage. */
  readonly suspect: SharedArrayBuffer
}

const DEFAULT_REPAIR_BYTES = 64 * 1024
/** Commands are few and small: a write per turn of the core's loop. */
const RING_BYTES = 64 * 1024
/** Longest event: FAILED with both texts cut to this, and its frame header. */
export const MAX_EVENT_TEXT_BYTES = 1024
export const MAX_EVENT_BYTES: number = 2 * MAX_EVENT_TEXT_BYTES + 64

/** `maxEntryBytes`: longest entry, its header included. */
export function allocateIoPort(maxEntryBytes: number = DEFAULT_REPAIR_BYTES): IoPort {
  return {
    commands: SpscRing.allocate(RING_BYTES),
    events: SpscRing.allocate(RING_BYTES),
    doorbell: Doorbell.allocate(),
    repair: new SharedArrayBuffer(maxEntryBytes),
    suspect: new SharedArrayBuffer(8),
  }
}

/**
 * What a reader on another thread calls when stored bytes are not what was written: the IO thread
 * looks at the place, and has it repaired.
 */
export function damageReporter(port: IoPort): (position: number) => void {
  const suspect = new BigInt64Array(port.suspect)
  const doorbell = new Doorbell(port.doorbell)
  return (position) => {
    // One at a time: whoever meets the next one reads, and tells, again.
    Atomics.compareExchange(suspect, 0, 0n, BigInt(position) + 1n)
    doorbell.ring()
  }
}
