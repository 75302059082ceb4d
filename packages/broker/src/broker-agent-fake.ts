/**
 * A whole broker agent for tests: the real agent and store, a fake core thread, a clock that stands
 * still. Nothing runs by itself; `run()` does duties until there is nothing left to do.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeClock, seededRandom } from '@ringledger/base'
import { encodeCommand, encodeHost, type RemotingCommand } from '@ringledger/protocol'
import { BrokerAgent } from './broker-agent.ts'
import { FakeCorePort, type SentFrame } from './core-port-fake.ts'
import { parseDelayLevels } from './delay-levels.ts'
import type { LogSegment } from './log-segments.ts'
import { type BrokerSettings, defaultSettings } from './settings.ts'
import { encodeStateMessage } from './state/records.ts'
import { BrokerStore } from './store/broker-store.ts'

const MAX_DUTIES = 10_000

export interface TestRequest {
  readonly code: number
  readonly ext?: Record<string, string>
  readonly body?: Buffer | string
  readonly connectionId?: number
  readonly oneWay?: boolean
  readonly version?: number
}

export class TestBroker {
  readonly clock: FakeClock = new FakeClock(1_795_407_239_000)
  readonly settings: BrokerSettings
  readonly logLines: string[] = []
  readonly port: FakeCorePort
  store: BrokerStore
  agent: BrokerAgent
  readonly storeHost: Buffer
  topicReports = 0
  diskFull = false
  segments: LogSegment[] = []
  usedRatios: { log: number; rest: number } = { log: 0.5, rest: 0.5 }
  readonly #directory: string
  #opaque = 100
  #others: SentFrame[] = []

  constructor(override: Partial<BrokerSettings> = {}) {
    this.settings = defaultSettings({ listenPort: 20911, ...override })
    this.storeHost = encodeHost(this.settings.brokerIP1, this.settings.listenPort)
    this.#directory = mkdtempSync(join(tmpdir(), 'broker-agent-'))
    this.port = new FakeCorePort(this.clock)
    const opened = this.#open()
    this.store = opened.store
    this.agent = opened.agent
  }

  /**
   * The process starts again on the same log and files; `clean` or as after a kill. Clients are
   * gone.
   */
  restart(clean: boolean): void {
    if (clean) this.store.close()
    const opened = this.#open()
    this.store = opened.store
    this.agent = opened.agent
    this.run()
  }

  #open(): { store: BrokerStore; agent: BrokerAgent } {
    const { arena } = this.port
    let agent: BrokerAgent | undefined
    const store = BrokerStore.open(
      {
        rootDirectory: this.#directory,
        arena,
        files: { read: (...args) => this.#readLog(...args) },
        logFirstPosition: 0,
        logEndPosition: arena.committed,
        indexSlots: 1024,
        indexEntries: 4096,
        consumeQueueFileBytes: 20_000,
        delayLevelsMs: parseDelayLevels(this.settings.messageDelayLevel),
        nowMs: () => this.clock.wallMs(),
      },
      {
        onMessage: (queue, offset, tagsCode) => agent?.onMessage(queue, offset, tagsCode),
        onRecord: (record) => agent?.onRecord(record),
        onReplaced: () => agent?.onReplaced(),
      },
    )
    agent = new BrokerAgent({
      settings: this.settings,
      clock: this.clock,
      random: seededRandom(7),
      port: this.port,
      store,
      processId: 4711,
      segments: {
        list: () => this.#segmentsLeft(),
        removeBelow: (position) => this.port.trim(position),
      },
      usedRatios: () => this.usedRatios,
      diskFull: () => this.diskFull,
      damagedEntries: () => 0,
      report: {
        topicsChanged: () => {
          this.topicReports += 1
        },
        serving: () => {},
        log: (_level, line) => this.logLines.push(line),
      },
    })
    return { store, agent }
  }

  /** The fake arena is never full, so it is also what the segment files would hold. */
  #readLog(position: number, target: Buffer, offset: number, maxBytes: number): number {
    const { arena } = this.port
    const end = Math.min(arena.appended, position + maxBytes)
    if (position >= end) return 0
    return arena.bytes.copy(target, offset, position, end)
  }

  #segmentsLeft(): LogSegment[] {
    const first = Math.max(0, ...this.port.trims)
    return this.segments.filter(({ endPosition }) => endPosition > first)
  }

  close(): void {
    this.store.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** Duties until one finds nothing and the agent would sleep. */
  run(): void {
    for (let duty = 0; duty < MAX_DUTIES; duty++) {
      const { agent, port } = this
      if (!agent.duty() && !agent.unwritten && !port.pending && agent.waitMs() > 0) return
    }
    throw new Error('the agent never comes to rest')
  }

  advance(byMs: number): void {
    this.clock.advance(byMs)
    this.run()
  }

  /** Becomes the serving leader of `term`, with system topics and one client connection, 1. */
  lead(term = 1): this {
    this.writeBarrier(term)
    this.port.role('leader', term)
    this.port.commit()
    this.run()
    if (!this.agent.context.connections.has(1)) this.connect(1)
    return this
  }

  follow(term: number): void {
    this.port.role('follower', term, 0)
    this.run()
  }

  writeBarrier(term: number): void {
    const barrier = { kind: 'barrier' as const, term, nodeId: 'n0' }
    this.port.write(-1, encodeStateMessage(barrier, this.storeHost, this.clock.wallMs()))
  }

  connect(id: number): void {
    const host = encodeHost('127.0.0.1', 40_000 + id)
    this.port.deliver((events) => events.onConnected(id, `127.0.0.1:${40_000 + id}`, host))
    this.run()
  }

  disconnect(id: number): void {
    this.port.deliver((events) => events.onClosed(id))
    this.run()
  }

  /** Any bytes as a frame. */
  deliver(frame: Buffer, connectionId = 1): void {
    const padded = Buffer.concat([Buffer.alloc(4, 0xaa), frame, Buffer.alloc(4, 0xbb)])
    this.port.deliver((events) => {
      events.onRequest(connectionId, padded, 4, 4 + frame.length)
      // The ring is reused as soon as the call is over.
      padded.fill(0xcc)
    })
  }

  /** Sends and runs; undefined when there is no answer (yet). Other frames stay for `frames()`. */
  request(request: TestRequest): RemotingCommand | undefined {
    const opaque = this.post(request)
    this.run()
    return this.answerTo(opaque)
  }

  /** Only sends. Returns the opaque. */
  post(request: TestRequest): number {
    const opaque = this.#opaque++
    const frame = encodeCommand({
      code: request.code,
      opaque,
      flag: request.oneWay ? 2 : 0,
      ext: request.ext,
      body: typeof request.body === 'string' ? Buffer.from(request.body) : request.body,
      language: 'JAVA',
      version: request.version ?? 493,
    })
    this.deliver(frame, request.connectionId)
    return opaque
  }

  /** A client's answer to a request of the broker's. */
  answerCall(connectionId: number, opaque: number, body: Buffer): void {
    this.deliver(encodeCommand({ code: 0, opaque, flag: 1, body }), connectionId)
    this.run()
  }

  answerTo(opaque: number): RemotingCommand | undefined {
    this.#others.push(...this.port.takeFrames())
    const index = this.#others.findIndex(
      ({ command }) => command.opaque === opaque && (command.flag & 1) === 1,
    )
    return index < 0 ? undefined : this.#others.splice(index, 1)[0]?.command
  }

  /** Frames that no `request` has taken, answers and the broker's own requests. */
  frames(): SentFrame[] {
    this.#others.push(...this.port.takeFrames())
    return this.#others.splice(0)
  }
}
