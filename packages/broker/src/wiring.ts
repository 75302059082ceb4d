/**
 * What the threads of one broker process are given: shared memory and settings. Plain data, it
 * travels in workerData.
 */
import { allocateLedgerShared, type LedgerShared } from '@ringledger/engine'
import type { Recovered } from '@ringledger/io'
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { ANSWER_RING_BYTES, PORT_RING_BYTES } from './core-port-frames.ts'
import { ledgerSettingsOf } from './ledger-settings.ts'
import type { NodeSettings } from './node-settings.ts'
import type { OldLog } from './old-log/take-over.ts'
import { type PlainIoShared, PlainIoWords } from './plain/plain-io-shared.ts'
import type { PlainRecovered } from './plain/plain-recovery.ts'
import { COMPLETION_RING_BYTES, SUBMIT_RING_BYTES } from './submit-frames.ts'

/** Memory between one network worker and the core and broker threads. */
export interface FrontShared {
  readonly bell: SharedArrayBuffer
  /** To the core thread: sends that want a place in the log. */
  readonly submissions: SharedArrayBuffer
  /** From the core thread: what became of them. */
  readonly completions: SharedArrayBuffer
  /** To the broker thread: all other requests. */
  readonly toBroker: SharedArrayBuffer
  /** From the broker thread: answers and topics. */
  readonly fromBroker: SharedArrayBuffer
}

export interface SharedParts extends LedgerShared {
  readonly brokerBell: SharedArrayBuffer
  /** Requests, roles and completions. */
  readonly coreToBroker: SharedArrayBuffer
  /** Answers and appends. */
  readonly brokerToCore: SharedArrayBuffer
  /** One for each network worker; none under `threads=folded`. */
  readonly fronts: readonly FrontShared[]
  /** A word in which the core thread tells the network workers how it takes sends. */
  readonly coreState: SharedArrayBuffer
  /** Used by a plain log alone. */
  readonly plainIo: PlainIoShared
}

export interface CoreWorkerData {
  readonly settings: NodeSettings
  readonly shared: SharedParts
  readonly recovered: Recovered | PlainRecovered
}

export interface BrokerWorkerData {
  readonly settings: NodeSettings
  readonly shared: SharedParts
  readonly oldLog: OldLog
  /** Of the Raft log, or the plain one. */
  readonly logFirstPosition: number
  readonly logEndPosition: number
}

export interface NetworkWorkerData {
  readonly settings: NodeSettings
  readonly shared: SharedParts
  /** Which of `shared.fronts` this worker is. */
  readonly number: number
  /** Port of the clients; 0: any. */
  readonly port: number
}

/** Sends that wait for their commit. */
export const MAX_PENDING_SENDS = 32_768
/** A cache line. */
const CORE_STATE_BYTES = 128
/** Byte offset in `coreState` of a word that is 1 while this node's disk is full. */
export const DISK_FULL_WORD_AT = 64
/** Byte offset in `coreState` of the number of damaged entries that are not repaired yet. */
export const DAMAGED_WORD_AT = 68
/**
 * Byte offset in `coreState` of a 64-bit word: where the log was begun anew, -1 while it is, its
 * first position of the start if it never was.
 */
export const LOG_START_WORD_AT = 72
/** Where the kernel spreads connections over the listeners of one port. */
const SPREADING_SYSTEMS: readonly NodeJS.Platform[] = ['linux', 'freebsd']

export function allocateShared(settings: NodeSettings): SharedParts {
  const fronts = networkWorkers(settings)
  return {
    ...allocateLedgerShared(ledgerSettingsOf(settings)),
    brokerBell: Doorbell.allocate(),
    coreToBroker: SpscRing.allocate(PORT_RING_BYTES),
    brokerToCore: SpscRing.allocate(PORT_RING_BYTES),
    fronts: Array.from({ length: fronts }, allocateFront),
    coreState: new SharedArrayBuffer(CORE_STATE_BYTES),
    plainIo: PlainIoWords.allocate(),
  }
}

function networkWorkers({ threads, networkThreads }: NodeSettings): number {
  if (threads === 'folded') return 0
  return SPREADING_SYSTEMS.includes(process.platform) ? Math.max(1, networkThreads) : 1
}

function allocateFront(): FrontShared {
  return {
    bell: Doorbell.allocate(),
    submissions: SpscRing.allocate(SUBMIT_RING_BYTES),
    completions: SpscRing.allocate(COMPLETION_RING_BYTES),
    toBroker: SpscRing.allocate(PORT_RING_BYTES),
    fromBroker: SpscRing.allocate(ANSWER_RING_BYTES),
  }
}

/** Core thread to main thread. */
export type CoreNote =
  /** `port` of the clients, where this thread has them. */
  | { kind: 'joined'; peerPort: number; port: number | undefined }
  | { kind: 'role'; role: string; term: number; leaderId: string; reason: string }
  /** `diskFailed`: because a write or sync failed; the reason names the file and the error. */
  | { kind: 'halted'; reason: string; diskFailed: boolean }
  | { kind: 'diskFull'; full: boolean }
  /** Entries of the log that are damaged here and not repaired yet. */
  | { kind: 'damaged'; entries: number }
  | { kind: 'transferred'; done: boolean; reason: string }
  | { kind: 'closed' }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; line: string }

/** Main thread to core thread. */
export type CoreOrder = { kind: 'transfer' } | { kind: 'close' }

/** IO thread to main thread, see io.worker.ts; broker thread to main thread. */
export type BrokerNote =
  | { kind: 'ready' }
  | { kind: 'serving'; term: number; leader: boolean }
  /** What it does before it can serve; '' when that is done. */
  | { kind: 'work'; text: string }
  | { kind: 'topics'; counter: number; timestampMs: number; topics: Record<string, unknown> }
  /** Nobody waits for an answer that may never come. */
  | { kind: 'drained' }
  | { kind: 'closed' }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; line: string }

/** Main thread to broker thread, which reads them when its bell rings. */
export type BrokerOrder = { kind: 'drain' } | { kind: 'close' }

/** Network worker to main thread. */
export type NetworkNote =
  | { kind: 'listening'; port: number }
  /** No client is left; the rings are still drained until the thread is ended. */
  | { kind: 'drained' }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; line: string }

/** Main thread to network worker. */
export type NetworkOrder = { kind: 'close' } | { kind: 'end' }
