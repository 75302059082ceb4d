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
 *   io to core
 *     TRUNCATED        end f64, last index f64, last term f64, id i32, last chainCrc u32
 *     HARD_STATE_SAVED id i32
 *     FAILED           file bytes i32, error bytes i32, file, error
 *     DISK_FULL, DISK_OK, CLOSED
 *     REMOVED          first position f64, first index f64
 */
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'

export const IoCommand = {
  WRITE: 0,
  TRUNCATE: 1,
  HARD_STATE: 2,
  CHECKPOINT: 3,
  REMOVE_BELOW: 4,
  CLOSE: 5,
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
} as const
export type IoEvent = (typeof IoEvent)[keyof typeof IoEvent]

/** Shared memory of the seam; goes in `workerData`. */
export interface IoPort {
  readonly commands: SharedArrayBuffer
  readonly events: SharedArrayBuffer
  /** The IO thread's bell. */
  readonly doorbell: SharedArrayBuffer
}

/** Commands are few and small: a write per turn of the core's loop. */
const RING_BYTES = 64 * 1024
/** Longest event: FAILED with both texts cut to this, and its frame header. */
export const MAX_EVENT_TEXT_BYTES = 1024
export const MAX_EVENT_BYTES: number = 2 * MAX_EVENT_TEXT_BYTES + 64

export function allocateIoPort(): IoPort {
  return {
    commands: SpscRing.allocate(RING_BYTES),
    events: SpscRing.allocate(RING_BYTES),
    doorbell: Doorbell.allocate(),
  }
}
