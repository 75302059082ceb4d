/**
 * Stands for a whole IO seam in tests: a store, its agent and a client on one thread, on whatever
 * disk.
 */
import assert from 'node:assert/strict'
import { FakeClock } from '@ringledger/base'
import { Doorbell, LogArena } from 'sharedarraybuffer-ringbuffer'
import type { StoreConfig } from './config.ts'
import { CoreFake } from './core-fake.ts'
import type { Disk } from './disk.ts'
import { IoAgent } from './io-agent.ts'
import { IoClient, type Truncated } from './io-client.ts'
import { allocateIoPort } from './io-port.ts'
import type { LogStore } from './log-store.ts'
import type { Recovered } from './recovered.ts'
import { openStore } from './recovery.ts'

const SMALL_ARENA = { sizeBytes: 128 * 1024, maxEntryBytes: 8192 }

/** What the client heard, in order; durable positions as numbers of their own. */
export type Heard =
  | { readonly kind: 'durable'; readonly position: number }
  | { readonly kind: 'truncated'; readonly end: Truncated }
  | { readonly kind: 'saved'; readonly id: number }
  | { readonly kind: 'failed'; readonly file: string; readonly error: string }
  | { readonly kind: 'full' | 'ok' | 'closed' }
  | { readonly kind: 'repaired'; readonly soundPosition: number; readonly refusal: string }
  | {
      readonly kind: 'removed'
      readonly firstPosition: number
      readonly firstIndex: number
      readonly soundPosition: number
    }

export class StoreFake {
  readonly clock: FakeClock = new FakeClock()
  readonly store: LogStore
  readonly recovered: Recovered
  readonly core: CoreFake
  readonly client: IoClient
  readonly agent: IoAgent
  readonly heard: Heard[] = []

  constructor(
    config: StoreConfig,
    disk: Disk,
    arena: { sizeBytes: number; maxEntryBytes: number } = SMALL_ARENA,
  ) {
    const { store, recovered } = openStore(config, disk)
    this.store = store
    this.recovered = recovered
    const shared = LogArena.allocate(arena)
    const port = allocateIoPort()
    this.core = new CoreFake(shared, store.layout.segmentBytes, store.end)
    this.client = new IoClient(port, this.core.arena)
    this.agent = new IoAgent({
      store,
      port,
      arena: new LogArena(shared),
      coreDoorbell: Doorbell.allocate(),
      clock: this.clock,
    })
  }

  /** Appends `count` entries and hands them over; `settle` writes them. */
  append(count: number, term = 1, bodyBytes = 500): void {
    for (let i = 0; i < count; i++) {
      assert.ok(this.core.append(term, bodyBytes, this.core.end.index + 1), 'the arena has room')
    }
    this.client.write(this.core.end.position)
  }

  /** Lets the agent work until it rests; returns what the client heard meanwhile. */
  settle(): Heard[] {
    const before = this.heard.length
    this.client.flush()
    while (this.agent.duty()) this.#poll()
    this.#poll()
    return this.heard.slice(before)
  }

  /** An orderly end. */
  close(): void {
    this.client.close()
    this.settle()
    assert.ok(this.agent.closed, 'the store is closed')
  }

  #poll(): void {
    this.client.poll({
      onDurable: (position) => this.heard.push({ kind: 'durable', position }),
      onTruncated: (end) => this.heard.push({ kind: 'truncated', end }),
      onHardStateSaved: (id) => this.heard.push({ kind: 'saved', id }),
      onFailed: (file, error) => this.heard.push({ kind: 'failed', file, error }),
      onDiskFull: () => this.heard.push({ kind: 'full' }),
      onDiskOk: () => this.heard.push({ kind: 'ok' }),
      onRepaired: ({ soundPosition, refusal }) =>
        this.heard.push({ kind: 'repaired', soundPosition, refusal }),
      onRemoved: (firstPosition, firstIndex, soundPosition) =>
        this.heard.push({ kind: 'removed', firstPosition, firstIndex, soundPosition }),
      onClosed: () => this.heard.push({ kind: 'closed' }),
    })
  }
}
