/** Rare things that a ledger's threads say to each other by message; plain data. */
import type { Recovered } from '@ringledger/io'
import type { LedgerRings } from './ledger-frames.ts'
import type { LedgerStateShared } from './ledger-state.ts'
import type { LedgerSettings } from './settings.ts'
import type { LedgerShared } from './shared.ts'

export interface LedgerWorkerData {
  readonly settings: LedgerSettings
  readonly shared: LedgerShared
  readonly rings: LedgerRings
  readonly state: LedgerStateShared
  readonly recovered: Recovered
}

/** Consensus thread to importer. */
export type LedgerNote =
  | { kind: 'joined'; peerPort: number }
  | { kind: 'role'; role: string; term: number; leaderId: string; reason: string }
  | { kind: 'halted'; reason: string }
  | { kind: 'storageFailed'; file: string; error: string }
  | { kind: 'diskFull'; full: boolean }
  | { kind: 'transferred'; done: boolean; reason: string }
  | { kind: 'trimmed'; firstIndex: number }
  | { kind: 'snapshotNeeded'; firstIndex: number }
  | { kind: 'closed' }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; line: string }

/** Importer to consensus thread. */
export type LedgerOrder =
  | { kind: 'transfer'; targetId: string | undefined }
  | { kind: 'trim'; throughIndex: number }
  /** Bytes in a file are not what was written. */
  | { kind: 'check'; position: number }
  | { kind: 'close' }
