/** DLedger's request and response codes (reference dledger.md §1.3, §1.4), under its names. */
import type { ErrorCode } from '@ringledger/base'

export const DledgerRequest = {
  METADATA: 50000,
  APPEND: 50001,
  GET: 50002,
  VOTE: 51001,
  HEART_BEAT: 51002,
  PULL: 51003,
  PUSH: 51004,
  LEADERSHIP_TRANSFER: 51005,
  INSTALL_SNAPSHOT: 51006,
  USER_DEFINE_REQUEST: 59999,
} as const

/** The `code` in a body; the code in the header of an answer is always SUCCESS. */
export const DledgerCode = {
  SUCCESS: 200,
  TIMEOUT: 300,
  UNSUPPORTED: 303,
  UNKNOWN_GROUP: 400,
  UNKNOWN_MEMBER: 401,
  NOT_LEADER: 404,
  INCONSISTENT_TERM: 407,
  INDEX_OUT_OF_RANGE: 410,
  UNEXPECTED_ARGUMENT: 411,
  DISK_ERROR: 414,
  DISK_FULL: 415,
  TAKE_LEADERSHIP_FAILED: 418,
  INDEX_LESS_THAN_LOCAL_BEGIN: 419,
  REQUEST_WITH_EMPTY_BODYS: 420,
  INTERNAL_ERROR: 500,
  TERM_CHANGED: 501,
  WAIT_QUORUM_ACK_TIMEOUT: 502,
  LEADER_PENDING_FULL: 503,
  ILLEGAL_MEMBER_STATE: 504,
  LEADER_NOT_READY: 505,
  LEADER_TRANSFERRING: 506,
} as const

const NAMES = new Map<number, string>(
  Object.entries(DledgerCode).map(([name, code]) => [code, name] as const),
)

/** `NOT_LEADER (404)`, as an operator searches for it. */
export function codeText(code: number): string {
  return `${NAMES.get(code) ?? 'UNKNOWN'} (${code})`
}

const CODE_OF_ERROR: Readonly<Record<ErrorCode, number>> = {
  NOT_LEADER: DledgerCode.NOT_LEADER,
  NOT_SERVING: DledgerCode.LEADER_NOT_READY,
  LEADERSHIP_LOST: DledgerCode.TERM_CHANGED,
  BUSY: DledgerCode.LEADER_PENDING_FULL,
  TOO_LARGE: DledgerCode.UNEXPECTED_ARGUMENT,
  DISK_FULL: DledgerCode.DISK_FULL,
  DISK_FAILED: DledgerCode.DISK_ERROR,
  CORRUPT: DledgerCode.INTERNAL_ERROR,
  BAD_CONFIG: DledgerCode.UNEXPECTED_ARGUMENT,
  BAD_REQUEST: DledgerCode.UNEXPECTED_ARGUMENT,
  PORT_BUSY: DledgerCode.INTERNAL_ERROR,
  CLOSED: DledgerCode.ILLEGAL_MEMBER_STATE,
  TIMEOUT: DledgerCode.WAIT_QUORUM_ACK_TIMEOUT,
  HANDING_OVER: DledgerCode.LEADER_TRANSFERRING,
  HALTED: DledgerCode.DISK_ERROR,
  ABORTED: DledgerCode.TIMEOUT,
  TRIMMED: DledgerCode.INDEX_LESS_THAN_LOCAL_BEGIN,
}

/** The DLedger code that comes closest to an error of ours. */
export function codeOfError(code: ErrorCode): number {
  return CODE_OF_ERROR[code]
}

/** Codes with which nothing was written; any other may leave the write in the log. */
const NOTHING_WRITTEN: ReadonlySet<number> = new Set<number>([
  DledgerCode.UNSUPPORTED,
  DledgerCode.UNKNOWN_GROUP,
  DledgerCode.UNKNOWN_MEMBER,
  DledgerCode.NOT_LEADER,
  DledgerCode.UNEXPECTED_ARGUMENT,
  DledgerCode.DISK_FULL,
  DledgerCode.REQUEST_WITH_EMPTY_BODYS,
  DledgerCode.LEADER_PENDING_FULL,
  DledgerCode.LEADER_NOT_READY,
  DledgerCode.LEADER_TRANSFERRING,
])

/** Whether a write that got this code may be in the log nevertheless. */
export function mayCommitAfter(code: number): boolean {
  return !NOTHING_WRITTEN.has(code)
}
