/** Raft: the pure rules, and the replica that drives them over arena, IO worker and peers. */
export type { CommittedBoundary } from './boundary-log.ts'
export * from './core/index.ts'
export { ClaimRefusal, EntryWriter, type LogEnd } from './entry-writer.ts'
export { checkPayload, type PayloadPlace, type PayloadRun } from './payload-check.ts'
export type { CatchUpReader, EntryRange, LogPiece, LogStorage, PeerTransport } from './ports.ts'
export { isRepairMessage, type RepairMessage } from './repair-messages.ts'
export {
  type DamagedEntry,
  Repairer,
  type RepairerOptions,
  type RepairStorage,
} from './repairer.ts'
export { Replica } from './replica.ts'
export type { ReplicaHooks, ReplicaOptions } from './replica-options.ts'
