/**
 * Three ledgers in one process, as an importer opens them, over connections that tests can cut.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from '@ringledger/base'
import { freePorts } from './group-fake.ts'
import type { Ledger, LedgerMember, LedgerOptions, LedgerStatus } from './ledger.ts'
import { LinkProxy } from './link-proxy-fake.ts'
import { openLedger } from './open-ledger.ts'

export class LedgerGroup {
  readonly ids: readonly string[] = ['n0', 'n1', 'n2']
  readonly ledgers: Map<string, Ledger> = new Map()
  readonly #root: string = mkdtempSync(join(tmpdir(), 'ringledger-ledgers-'))
  readonly #overrides: Partial<LedgerOptions>
  readonly #members = new Map<string, LedgerMember[]>()
  readonly #proxies = new Map<string, LinkProxy>()
  readonly #waiters = new Set<() => void>()

  private constructor(overrides: Partial<LedgerOptions>) {
    this.#overrides = overrides
  }

  /** `cuttable`: `isolate` works; connections pass through this thread then. */
  static async open(
    overrides: Partial<LedgerOptions> = {},
    cuttable = false,
  ): Promise<LedgerGroup> {
    const group = new LedgerGroup(overrides)
    const ports = await freePorts(group.ids.length)
    const portOf = (id: string): number => ports[group.ids.indexOf(id)] as number
    for (const self of group.ids) {
      const members: LedgerMember[] = []
      for (const id of group.ids) {
        // The greater id dials: only its view of the other goes through a proxy.
        const dials = cuttable && self > id
        const proxy = dials ? await LinkProxy.open(portOf(id)) : undefined
        if (proxy !== undefined) group.#proxies.set(`${id} ${self}`, proxy)
        members.push({ id, host: '127.0.0.1', port: proxy?.port ?? portOf(id) })
      }
      group.#members.set(self, members)
    }
    await Promise.all(group.ids.map((id) => group.start(id)))
    return group
  }

  async start(id: string): Promise<Ledger> {
    const members = this.#members.get(id)
    assert(members !== undefined, 'a member is started')
    const ledger = await openLedger({
      directory: join(this.#root, id),
      selfId: id,
      members,
      minimumFreeBytes: 1,
      // A busy test machine holds threads back; only who asks for an election should get one.
      electionTimeoutMs: 1_500,
      ...this.#overrides,
    })
    const changed = (): void => {
      for (const look of this.#waiters) look()
    }
    ledger.subscribe({ onRole: changed, onCommit: changed })
    this.ledgers.set(id, ledger)
    changed()
    return ledger
  }

  async stop(id: string): Promise<void> {
    const ledger = this.of(id)
    this.ledgers.delete(id)
    await ledger.close()
  }

  of(id: string): Ledger {
    const ledger = this.ledgers.get(id)
    assert(ledger !== undefined, `${id} runs`)
    return ledger
  }

  /** Cuts `id` off from the other members, or joins it again. */
  isolate(id: string, cut = true): void {
    assert(this.#proxies.size > 0, 'the group was opened to be cut')
    for (const [pair, proxy] of this.#proxies) {
      if (!pair.split(' ').includes(id)) continue
      if (cut) proxy.cut()
      else proxy.heal()
    }
  }

  /** Looks whenever a role or commit position changed. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return
        this.#waiters.delete(look)
        resolve()
      }
      this.#waiters.add(look)
      look()
    })
  }

  /** The serving leader that all of `ids` follow, by default all that run. */
  async leader(ids: readonly string[] = [...this.ledgers.keys()]): Promise<Ledger> {
    const found = (): Ledger | undefined => {
      const views = ids.map((id) => this.of(id).status())
      const leader = views.find((view) => view.role === 'leader' && view.serving)
      const agreed = views.every((view) => view.leaderId === leader?.selfId)
      return leader !== undefined && agreed ? this.of(leader.selfId) : undefined
    }
    await this.until(() => found() !== undefined)
    const leader = found()
    assert(leader !== undefined, 'the wait ended with a leader')
    return leader
  }

  /** Changes one bit in a data file of a member. */
  flipBit(id: string, position: number): void {
    const { segmentBytes } = this.#overrides
    assert(segmentBytes !== undefined, 'the group was opened with a segment length')
    const base = position - (position % segmentBytes)
    const name = String(base).padStart(20, '0')
    const file = openSync(join(this.#root, id, `dledger-${id}`, 'data', name), 'r+')
    const byte = Buffer.alloc(1)
    readSync(file, byte, 0, 1, position - base)
    byte.writeUInt8(byte.readUInt8(0) ^ 4)
    writeSync(file, byte, 0, 1, position - base)
    closeSync(file)
  }

  statuses(): LedgerStatus[] {
    return [...this.ledgers.values()].map((ledger) => ledger.status())
  }

  async close(): Promise<void> {
    await Promise.all([...this.ledgers.keys()].map((id) => this.stop(id)))
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()))
    rmSync(this.#root, { recursive: true, force: true })
  }
}
