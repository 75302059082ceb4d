/**
 * What a handler gets and gives. Handlers are plain functions: a throw of LedgerError becomes code
 * 1.
 */
import type { Clock } from '@ringledger/base'
import type { RemotingCommand } from '@ringledger/protocol'
import type { KvConfig } from '../kv.ts'
import type { Log } from '../log.ts'
import type { Routes } from '../routes.ts'
import type { SettingsStore } from '../settings-store.ts'

export interface HandlerContext {
  readonly routes: Routes
  readonly kv: KvConfig
  readonly settings: SettingsStore
  readonly clock: Clock
  readonly log: Log
  /** Monotonic milliseconds when the server started to listen. */
  readonly startedMs: number
}

export interface Requester {
  readonly connectionId: number
  readonly remoteAddress: string
}

export interface Reply {
  readonly code: number
  readonly remark?: string
  readonly ext?: Record<string, string>
  readonly body?: Buffer
}

export type Handler = (
  request: RemotingCommand,
  context: HandlerContext,
  requester: Requester,
) => Reply

export const SUCCESS: Reply = { code: 0 }
