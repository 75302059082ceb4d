/**
 * A whole group in one process for tests: real arenas, IO workers, sockets and files; only the
 * clients are missing. Each member's core runs on the calling thread's event loop.
 */
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { assert } from '@ringledger/base'
import { startIoWorker, storeLayout } from '@ringledger/io'
import { Turn } from '@ringledger/network'
import { Doorbell } from 'sharedarraybuffer-ringbuffer'
import { LedgerCore } from './ledger-core.ts'
import type { GroupMember, LedgerSettings } from './settings.ts'
import { allocateLedgerShared } from './shared.ts'

const KIB = 1024
const MIB = KIB * KIB

/** Ports that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer()
      return new Promise<typeof server>((resolve) =>
        server.listen(0, '127.0.0.1', () => resolve(server)),
      )
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

export class TestMember {
  readonly id: string
  core: LedgerCore | undefined
  leading = false
  term = 0
  leaderId = ''
  visible = 0
  readonly log: string[] = []
  readonly #group: TestGroup
  readonly #settings: LedgerSettings
  #worker: Worker | undefined
  #bell: { close(): void } | undefined
  #ended: Promise<void> = Promise.resolve()
  #onScrubbed: () => void = () => {}

  constructor(group: TestGroup, settings: LedgerSettings) {
    this.id = settings.selfId
    this.#group = group
    this.#settings = settings
  }

  async start(): Promise<void> {
    this.visible = 0
    const shared = allocateLedgerShared(this.#settings)
    const { worker, recovered } = await startIoWorker({
      config: this.#settings.store,
      arena: shared.arena,
      port: shared.ioPort,
      coreDoorbell: shared.coreBell,
    })
    this.#worker = worker
    this.#ended = new Promise((resolve) => worker.once('exit', () => resolve()))
    const turn = new Turn()
    const core = new LedgerCore(this.#settings, shared, recovered, turn, {
      touch: () => turn.schedule(),
      barrier: (term) => Buffer.from(`barrier of term ${term}`),
      patchBarrier: () => {},
      onRole: (role, term, leaderId) => {
        this.leading = role === 'leader'
        this.term = term
        this.leaderId = leaderId
        this.#group.changed()
      },
      onCommit: (position) => {
        this.visible = position
        this.#group.changed()
      },
      onHalted: (reason) => this.log.push(`halted: ${reason}`),
      onDiskFull: (full) => this.log.push(`disk full: ${full}`),
      onTransferred: () => this.#group.changed(),
      onRepaired: () => this.#group.changed(),
      onTrimmed: () => this.#group.changed(),
      onScrubbed: () => this.#onScrubbed(),
      log: (_level, line) => {
        this.log.push(line)
        this.#group.changed()
      },
    })
    turn.onEnd(() => {
      core.pollStorage()
      core.endTurn()
    })
    this.core = core
    this.#bell = new Doorbell(shared.coreBell).listen(() => turn.schedule())
    await core.start()
  }

  /** Orders one entry on a leader; returns the position of its end. */
  append(body: Buffer): number {
    assert(this.core !== undefined, 'the member runs')
    const { replica } = this.core
    const offset = replica.claim(body.length)
    assert(offset >= 0, 'the leader has room')
    body.copy(replica.bytes, offset)
    replica.seal()
    return replica.endPosition
  }

  /** Resolves when the whole store was looked through. */
  scrub(): Promise<void> {
    return new Promise((resolve) => {
      this.#onScrubbed = resolve
      this.core?.scrub()
    })
  }

  async stop(): Promise<void> {
    await this.core?.close()
    this.#bell?.close()
    await this.#ended
    this.core = undefined
    this.leading = false
  }

  /** As a killed process: nothing is closed in order. */
  async kill(): Promise<void> {
    await this.core?.abandon()
    this.#bell?.close()
    await this.#worker?.terminate()
    // A killed process is gone; this one still lives, and its lock with it.
    rmSync(storeLayout(this.#settings.store).lockPath, { force: true })
    this.core = undefined
    this.leading = false
  }
}

export class TestGroup {
  readonly members: TestMember[]
  #waiters: { holds: () => boolean; resolve: () => void }[] = []

  constructor(
    directory: string,
    ports: readonly number[],
    overrides: Partial<LedgerSettings> = {},
  ) {
    const peers: GroupMember[] = ports.map((port, at) => ({
      id: `n${at}`,
      host: '127.0.0.1',
      port,
    }))
    this.members = peers.map(({ id }) => {
      const segmentBytes = overrides.segmentBytes ?? MIB
      return new TestMember(this, {
        group: 'test',
        selfId: id,
        members: peers,
        bindAddress: '127.0.0.1',
        electionTimeoutMs: 600,
        heartbeatIntervalMs: 100,
        store: {
          rootDirectory: join(directory, id),
          selfId: id,
          segmentBytes,
          indexSegmentBytes: 32 * KIB * KIB,
        },
        segmentBytes,
        syncBeforeAck: true,
        arenaBytes: MIB,
        maxEntryBytes: 64 * KIB,
        ...overrides,
      })
    })
  }

  changed(): void {
    const met = this.#waiters.filter((waiter) => waiter.holds())
    this.#waiters = this.#waiters.filter((waiter) => !met.includes(waiter))
    for (const waiter of met) waiter.resolve()
  }

  /** Resolves once `holds`, which is looked at whenever a role or commit position changed. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push({ holds, resolve }))
  }

  /** The serving leader, once there is one that all running members follow. */
  async leader(): Promise<TestMember> {
    const running = () => this.members.filter((member) => member.core !== undefined)
    const found = () => {
      const leader = running().find((member) => member.leading && member.core?.replica.raft.serving)
      const agreed = running().every((member) => member.leaderId === leader?.id)
      return agreed ? leader : undefined
    }
    await this.until(() => found() !== undefined)
    const leader = found()
    assert(leader !== undefined, 'the wait ended with a leader')
    return leader
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.filter((m) => m.core !== undefined).map((m) => m.stop()))
  }
}
