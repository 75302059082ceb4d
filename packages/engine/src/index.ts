/**
 * The replicated log as a part for other programs: consensus, IO and peers wired over shared
 * memory.
 */
export { type ErrorCode, LedgerError } from '@ringledger/base'
export { startIoWorker } from '@ringledger/io'
export type { ForeignMessage } from './foreign-message.ts'
export type {
  Appended,
  Ledger,
  LedgerEntry,
  LedgerFailure,
  LedgerHandlers,
  LedgerLog,
  LedgerMember,
  LedgerOptions,
  LedgerPeerStatus,
  LedgerRole,
  LedgerStatus,
  LogPoint,
  ReadOptions,
  RoleEvent,
} from './ledger.ts'
export {
  LedgerCore,
  type LedgerCoreHooks,
  type LedgerHub,
  type LedgerSurroundings,
  TICK_MS,
} from './ledger-core.ts'
export { AppendError, TrimmedError } from './ledger-errors.ts'
export { openLedger } from './open-ledger.ts'
export type { GroupMember, LedgerSettings } from './settings.ts'
export { allocateLedgerShared, type LedgerShared } from './shared.ts'
