/**
 * What went wrong, as a closed set.
 * - `NOT_LEADER`: this node does not order writes now. Nothing was written.
 * - `NOT_SERVING`: leader, but its own first entry has not committed yet. Nothing was written;
 *   retry soon.
 * - `LEADERSHIP_LOST`: leadership moved while the write was on its way. **It may still commit.**
 * - `BUSY`: a fixed buffer is full. Nothing was written; retry after a pause.
 * - `TOO_LARGE`: the write can never fit. Nothing was written.
 * - `DISK_FULL`: no space for new segments. Nothing was written; retry when space returns.
 * - `DISK_FAILED`: a write or sync failed; the node has left the group. **The write may still
 *   commit.**
 * - `CORRUPT`: bytes from disk or network failed a check.
 * - `BAD_CONFIG`: a configuration key or value is not usable.
 * - `BAD_REQUEST`: the caller's arguments are not usable.
 * - `PORT_BUSY`: another process listens there.
 * - `CLOSED`: the component was closed. **A write under way may still commit.**
 * - `TIMEOUT`: no answer in time. **A write under way may still commit.**
 * - `HANDING_OVER`: leadership is being handed over; the next leader takes the write. Nothing was
 *   written.
 * - `HALTED`: this node has left its group for good. **A write under way may still commit.**
 * - `ABORTED`: the caller's signal fired. **A write under way may still commit.**
 * - `TRIMMED`: the wanted part of the log was dropped here; a snapshot holds it.
 */
export type ErrorCode =
  | 'NOT_LEADER'
  | 'NOT_SERVING'
  | 'LEADERSHIP_LOST'
  | 'BUSY'
  | 'TOO_LARGE'
  | 'DISK_FULL'
  | 'DISK_FAILED'
  | 'CORRUPT'
  | 'BAD_CONFIG'
  | 'BAD_REQUEST'
  | 'PORT_BUSY'
  | 'CLOSED'
  | 'TIMEOUT'
  | 'HANDING_OVER'
  | 'HALTED'
  | 'ABORTED'
  | 'TRIMMED'

const MAY_STILL_COMMIT: ReadonlySet<ErrorCode> = new Set([
  'LEADERSHIP_LOST',
  'DISK_FAILED',
  'CLOSED',
  'TIMEOUT',
  'HALTED',
  'ABORTED',
])

/** The one error class of RingLedger; `code` says what happened, `message` what to do about it. */
export class LedgerError extends Error {
  override readonly name = 'LedgerError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  /** True when a write that got this error may nevertheless be in the log later. */
  get mayStillCommit(): boolean {
    return MAY_STILL_COMMIT.has(this.code)
  }
}
