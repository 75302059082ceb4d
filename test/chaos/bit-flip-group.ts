/**
 * A group of three in one process with real files, for tests that flip bits below its members.
 * Owns the truth about the log: what was acknowledged, byte for byte, against which every member is
 * read.
 */
import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import {
  allocateLedgerShared,
  type GroupMember,
  LedgerCore,
  type LedgerSettings,
  startIoWorker,
} from '@ringledger/engine'
import { LogFileReader, storeLayout } from '@ringledger/io'
import { Turn } from '@ringledger/network'
import { Doorbell } from 'sharedarraybuffer-ringbuffer'
import { freePorts } from '../support/ports.ts'

const SEGMENT_BYTES = 64 * 1024
const INDEX_SEGMENT_BYTES = 32 * 256
/** A wait that lasts longer means that the group does not go on. */
const PATIENCE_MS = 60_000

export interface Place {
  readonly path: string
  readonly at: number
  readonly bit: number
}

export class FlipMember {
  readonly settings: LedgerSettings
  core: LedgerCore | undefined
  leading = false
  visible = 0
  halted = ''
  /** What it said since it was last looked at: damage, repairs, reports of starts. */
  said: string[] = []
  readonly #changed: () => void
  #worker: Worker | undefined
  #bell: { close(): void } | undefined
  #ended: Promise<unknown> = Promise.resolve()
  #scrubbed: () => void = () => {}

  constructor(settings: LedgerSettings, changed: () => void) {
    this.settings = settings
    this.#changed = changed
  }

  get directory(): string {
    return storeLayout(this.settings.store).directory
  }

  async start(): Promise<void> {
    this.visible = 0
    const shared = allocateLedgerShared(this.settings)
    const { worker, recovered } = await startIoWorker({
      config: this.settings.store,
      arena: shared.arena,
      port: shared.ioPort,
      coreDoorbell: shared.coreBell,
    })
    this.#worker = worker
    this.#ended = new Promise((resolve) => worker.once('exit', resolve))
    this.said.push(...recovered.report)
    const turn = new Turn()
    const core = new LedgerCore(this.settings, shared, recovered, turn, {
      touch: () => turn.schedule(),
      barrier: (term) => Buffer.from(`barrier of term ${term}`),
      patchBarrier: () => {},
      onRole: (role) => {
        this.leading = role === 'leader'
        this.#changed()
      },
      onCommit: (position) => {
        this.visible = position
        this.#changed()
      },
      onHalted: (reason) => {
        this.halted = reason
        this.#changed()
      },
      onDiskFull: () => {},
      onTransferred: () => {},
      onRepaired: () => this.#changed(),
      onScrubbed: () => this.#scrubbed(),
      log: (level, line) => {
        if (level !== 'info') this.said.push(line)
        this.#changed()
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

  /** Looks through its whole store. */
  scrub(): Promise<void> {
    return new Promise((resolve) => {
      this.#scrubbed = resolve
      this.core?.scrub()
    })
  }

  /** In order, or as a killed process. */
  async stop(inOrder: boolean): Promise<void> {
    if (inOrder) {
      await this.core?.close()
      this.#bell?.close()
      await this.#ended
    } else {
      await this.core?.abandon()
      this.#bell?.close()
      await this.#worker?.terminate()
      rmSync(storeLayout(this.settings.store).lockPath, { force: true })
    }
    this.core = undefined
    this.leading = false
  }

  /** Every file of its store, with its length. */
  files(): { path: string; sizeBytes: number }[] {
    const names = readdirSync(this.directory, { recursive: true, encoding: 'utf8' }).sort()
    return names
      .map((name) => join(this.directory, name))
      .filter((path) => statSync(path).isFile())
      .map((path) => ({ path, sizeBytes: statSync(path).size }))
  }

  /** [0, end) as it serves it; checked, so that damage fails and is told of. */
  async read(end: number): Promise<Buffer> {
    const log = Buffer.alloc(end)
    const reader = this.core?.files ?? new LogFileReader(this.settings.store)
    for (let from = 0; from < end; ) {
      const { endPosition } = reader.range(from, end, SEGMENT_BYTES)
      const part = Buffer.alloc(endPosition - from)
      await reader.readEntriesAsync(from, endPosition, part)
      part.copy(log, from)
      from = endPosition
    }
    return log
  }
}

/** Flips the bit; returns the byte as it was. */
export function flipBit({ path, at, bit }: Place): number {
  const file = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, at)
  const before = byte[0] as number
  writeSync(file, Buffer.from([before ^ (1 << bit)]), 0, 1, at)
  closeSync(file)
  return before
}

export class FlipGroup {
  readonly members: FlipMember[]
  #waiters: { holds: () => boolean; resolve: () => void }[] = []
  #appended = 0

  private constructor(root: string, ports: readonly number[]) {
    const members: GroupMember[] = ports.map((port, at) => ({
      id: `n${at}`,
      host: '127.0.0.1',
      port,
    }))
    this.members = members.map(({ id }) => {
      const store = {
        rootDirectory: join(root, id),
        selfId: id,
        segmentBytes: SEGMENT_BYTES,
        indexSegmentBytes: INDEX_SEGMENT_BYTES,
        zeroAheadBytes: 0,
        minimumFreeBytes: 1,
        scrubBytesPerSecond: 0,
      }
      const settings: LedgerSettings = {
        group: 'flips',
        selfId: id,
        members,
        bindAddress: '127.0.0.1',
        electionTimeoutMs: 300,
        heartbeatIntervalMs: 50,
        store,
        segmentBytes: SEGMENT_BYTES,
        syncBeforeAck: true,
        arenaBytes: 64 * 1024,
        maxEntryBytes: 8 * 1024,
      }
      return new FlipMember(settings, () => this.#look())
    })
  }

  static async start(root: string): Promise<FlipGroup> {
    const group = new FlipGroup(root, await freePorts(3))
    await Promise.all(group.members.map((member) => member.start()))
    return group
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop(true)))
  }

  /** Resolves once `holds`. @throws when it does not for a minute */
  async until(what: string, holds: () => boolean): Promise<void> {
    if (holds()) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const give = (): void => reject(new Error(`${what}: not within ${PATIENCE_MS} ms`))
      timer = setTimeout(give, PATIENCE_MS)
    })
    const met = new Promise<void>((resolve) => this.#waiters.push({ holds, resolve }))
    await Promise.race([met, late]).finally(() => clearTimeout(timer))
  }

  /** Appends entries and resolves, with their end, when every running member shows them. */
  async append(count: number): Promise<number> {
    await this.until('a leader', () => this.members.some((member) => member.leading))
    const leader = this.members.find((member) => member.leading)
    assert(leader?.core !== undefined)
    const { replica } = leader.core
    let end = 0
    for (let at = 0; at < count; at++) {
      const body = Buffer.alloc(50 + ((this.#appended * 37) % 900), this.#appended & 0xff)
      const offset = replica.claim(body.length)
      assert(offset >= 0, 'the leader has room')
      body.copy(replica.bytes, offset)
      replica.seal()
      end = replica.endPosition
      this.#appended++
      if (at % 20 !== 19 && at < count - 1) continue
      replica.endTurn()
      const reached = end
      await this.until('the entries are shown', () => this.#allShow(reached) || !leader.leading)
      assert(this.#allShow(reached), 'the leader stays')
    }
    return end
  }

  #allShow(end: number): boolean {
    return this.members.every((member) => member.core === undefined || member.visible >= end)
  }

  #look(): void {
    const met = this.#waiters.filter((waiter) => waiter.holds())
    this.#waiters = this.#waiters.filter((waiter) => !met.includes(waiter))
    for (const waiter of met) waiter.resolve()
  }
}
