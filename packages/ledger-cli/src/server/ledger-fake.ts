/** A ledger of one node in memory, whose answers a test can hold back or replace by errors. */
import type {
  Appended,
  Ledger,
  LedgerEntry,
  LedgerHandlers,
  LedgerRole,
  LedgerStatus,
  LogPoint,
  ReadOptions,
} from '@ringledger/engine'

const HEADER_BYTES = 48

type FailingCall = 'append' | 'readIndex' | 'transfer'

export class FakeLedger implements Ledger {
  readonly entries: LedgerEntry[] = []
  role: LedgerRole = 'leader'
  leaderId: string | undefined = 'n0'
  /** Indexes that open a term. */
  readonly barriers: Set<number> = new Set()
  /** Thrown by the next calls of this name. */
  readonly errors: Map<FailingCall, Error> = new Map()
  /** While set, appends wait for it. */
  gate: Promise<void> | undefined
  appendsUnderWay = 0
  transferredTo: string | undefined
  readonly #handlers = new Set<LedgerHandlers>()
  #position = 0

  async append(body: Uint8Array): Promise<Appended> {
    const [appended] = await this.appendBatch([body])
    return appended!
  }

  async appendBatch(bodies: readonly Uint8Array[]): Promise<Appended[]> {
    this.appendsUnderWay++
    await this.gate
    this.appendsUnderWay--
    this.#throwIfAny('append')
    return bodies.map((body) => this.add(body))
  }

  /** Commits one entry at once. */
  add(body: Uint8Array): Appended {
    const appended = { index: this.entries.length, term: 1, position: this.#position }
    this.entries.push({ ...appended, body })
    this.#position += HEADER_BYTES + body.length
    for (const handlers of this.#handlers) handlers.onCommit?.(this.#end)
    return appended
  }

  /** Another member leads from now on. */
  stepDown(leaderId: string): void {
    this.role = 'follower'
    this.leaderId = leaderId
    const event = { role: this.role, term: 2, leaderId, reason: 'test' }
    for (const handlers of this.#handlers) handlers.onRole?.(event)
  }

  async *read(
    from: { readonly index: number } | { readonly position: number },
    options: ReadOptions = {},
  ): AsyncIterable<LedgerEntry> {
    const first = 'index' in from ? from.index : 0
    const last = options.untilIndex ?? Number.POSITIVE_INFINITY
    for (const entry of this.entries) {
      const isWanted = entry.index >= first && entry.index <= last
      if (isWanted && !this.barriers.has(entry.index)) yield entry
    }
  }

  async get(index: number): Promise<LedgerEntry | undefined> {
    return this.barriers.has(index) ? undefined : this.entries[index]
  }

  async readIndex(): Promise<LogPoint> {
    this.#throwIfAny('readIndex')
    return this.#end
  }

  async waitForLeader(): Promise<string> {
    return this.leaderId ?? ''
  }

  subscribe(handlers: LedgerHandlers): () => void {
    this.#handlers.add(handlers)
    return () => this.#handlers.delete(handlers)
  }

  async transferLeadership(targetId?: string): Promise<void> {
    this.#throwIfAny('transfer')
    this.transferredTo = targetId ?? 'anyone'
  }

  status(): LedgerStatus {
    return {
      selfId: 'n0',
      role: this.role,
      term: 1,
      leaderId: this.leaderId,
      serving: this.role === 'leader',
      first: { index: 0, position: 0 },
      end: this.#end,
      durablePosition: this.#position,
      committed: this.#end,
      peers: [],
      disk: 'ok',
      damagedEntries: 0,
      healing: false,
      failure: undefined,
    }
  }

  async trimPrefix(): Promise<{ firstIndex: number }> {
    return { firstIndex: 0 }
  }

  async close(): Promise<void> {
    this.#handlers.clear()
  }

  get #end(): LogPoint {
    return { index: this.entries.length - 1, position: this.#position }
  }

  #throwIfAny(call: FailingCall): void {
    const error = this.errors.get(call)
    if (error !== undefined) throw error
  }
}
