/**
 * The replicated log as a part for other programs: consensus, IO and peers wired over shared
 * memory.
 */
export { startIoWorker } from '@ringledger/io'
export { LedgerCore, type LedgerCoreHooks, TICK_MS } from './ledger-core.ts'
export type { GroupMember, LedgerSettings } from './settings.ts'
export { allocateLedgerShared, type LedgerShared } from './shared.ts'
