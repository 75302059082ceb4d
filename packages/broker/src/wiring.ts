/** What the threads of one broker process are given: shared memory and settings. Plain data, it travels in workerData. */
import { allocateLedgerShared, type LedgerShared } from '@ringledger/engine'
import type { Recovered } from '@ringledger/io'
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { PORT_RING_BYTES } from './core-port-frames.ts'
import { ledgerSettingsOf } from './ledger-settings.ts'
import type { NodeSettings } from './node-settings.ts'

export interface SharedParts extends LedgerShared {
  readonly brokerBell: SharedArrayBuffer
  /** Requests, roles and completions. */
  readonly coreToBroker: SharedArrayBuffer
  /** Answers and appends. */
  readonly brokerToCore: SharedArrayBuffer
}

export interface CoreWorkerData {
  readonly settings: NodeSettings
  readonly shared: SharedParts
  readonly recovered: Recovered
}

export interface BrokerWorkerData {
  readonly settings: NodeSettings
  readonly shared: SharedParts
  readonly logFirstPosition: number
  readonly logEndPosition: number
}

export function allocateShared(settings: NodeSettings): SharedParts {
  return {
    ...allocateLedgerShared(ledgerSettingsOf(settings)),
    brokerBell: Doorbell.allocate(),
    coreToBroker: SpscRing.allocate(PORT_RING_BYTES),
    brokerToCore: SpscRing.allocate(PORT_RING_BYTES),
  }
}

/** Core thread to main thread. */
export type CoreNote =
  | { kind: 'listening'; port: number; peerPort: number }
  | { kind: 'role'; role: string; term: number; leaderId: string; reason: string }
  | { kind: 'halted'; reason: string }
  | { kind: 'transferred'; done: boolean; reason: string }
  | { kind: 'closed' }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; line: string }

/** Main thread to core thread. */
export type CoreOrder = { kind: 'transfer' } | { kind: 'close' }

/** IO thread to main thread, see io.worker.ts; broker thread to main thread. */
export type BrokerNote =
  | { kind: 'ready' }
  | { kind: 'serving'; term: number; leader: boolean }
  | { kind: 'topics'; counter: number; timestampMs: number; topics: Record<string, unknown> }
  | { kind: 'closed' }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; line: string }
