/**
 * Starts a broker process from its main thread: memory, then IO, then the broker thread, then the
 * core thread, then network workers if there are any; the last two open the ports. When one ends
 * unexpectedly the process cannot keep its promises and says so. Invariant: the main thread does
 * nothing per message; it registers the node and follows roles.
 */
import { flushCompileCache } from 'node:module'
import type { Worker } from 'node:worker_threads'
import { LedgerError } from '@ringledger/base'
import { startIoWorker } from '@ringledger/engine'
import type { Recovered } from '@ringledger/io'
import { Doorbell } from 'sharedarraybuffer-ringbuffer'
import { refuseHalfAdopted } from './adopt-guard.ts'
import { BrokerThreads, whenEnded } from './broker-threads.ts'
import { ledgerSettingsOf } from './ledger-settings.ts'
import { NetworkWorkers } from './network-workers.ts'
import { followerBrokerId, type NodeSettings } from './node-settings.ts'
import { prepareOldLog } from './old-log/prepare.ts'
import type { OldLog } from './old-log/take-over.ts'
import {
  type PlainIoNote,
  type PlainIoWorkerData,
  plainIoConfigOf,
  refuseRaftLog,
} from './plain/plain-launch.ts'
import type { PlainRecovered } from './plain/plain-recovery.ts'
import { Registrar, type Registration } from './registrar.ts'
import { isPlain } from './settings.ts'
import type { TellWork } from './start-work.ts'
import {
  allocateShared,
  type BrokerNote,
  type BrokerOrder,
  type BrokerWorkerData,
  type CoreNote,
  type CoreOrder,
  type CoreWorkerData,
  type SharedParts,
} from './wiring.ts'

export type BrokerLog = (level: 'info' | 'warn' | 'error', line: string) => void

const NO_OLD_LOG: OldLog = { files: [], dividedPosition: 0 }
/** A new leader serves and registers far sooner. */
const SUCCESSOR_FIRST_MS = 300

export interface BrokerStatus {
  role: string
  term: number
  leaderId: string
  /** Leader, and ready for writes. */
  serving: boolean
  listenPort: number
  peerPort: number
  /** What it does before it can serve, and how far it is; empty when nothing is left to do. */
  work: string
  /** No space for more of the log: new writes are refused here. */
  diskFull: boolean
  /** Entries of the log that are damaged here and not repaired yet: they are not served. */
  damagedEntries: number
  /** Why this node has left its group or stops; empty while all is well. */
  failure: string
  /** Processor time of the main thread since the last call, as a share of that time. */
  mainUtilization: number
}

export interface RunningBroker {
  /** Hands leadership over, closes the ports, brings everything to disk. */
  close(): Promise<void>
  /** Resolves when this node knows a leader of its group that takes writes (itself or another). */
  readonly whenServing: Promise<void>
  /**
   * Rejects when the process must end, after its clients' last answers: LedgerError DISK_FAILED
   * with the file and the error when a write or sync failed, CLOSED for any other reason.
   */
  readonly whenFailed: Promise<never>
  status(): BrokerStatus
}

/**
 * `tellWork` hears what is done until the promise resolves; the status says it afterwards. Throws
 * LedgerError: PORT_BUSY, CORRUPT, BAD_REQUEST (another process has the store), BAD_CONFIG,
 * DISK_FULL (a start needs a little space).
 */
export async function startBroker(
  settings: NodeSettings,
  log: BrokerLog,
  tellWork: TellWork = () => {},
): Promise<RunningBroker> {
  const broker = new BrokerProcess(settings, log, tellWork)
  await broker.start()
  return broker
}

/** A node that cannot go on gives its clients their last answers for at most this long. */
const LAST_ANSWERS_LIMIT_MS = 1_000

class BrokerProcess implements RunningBroker {
  readonly whenServing: Promise<void>
  readonly whenFailed: Promise<never>
  readonly #settings: NodeSettings
  readonly #log: BrokerLog
  readonly #tellWork: TellWork
  readonly #registrar: Registrar
  readonly #threads = new BrokerThreads((reason, code) => this.#onThreadFailed(reason, code))
  readonly #networkWorkers: NetworkWorkers
  #core: Worker | undefined
  #broker: Worker | undefined
  #io: Worker | undefined
  #onServing: () => void = () => {}
  #onFailed: (error: Error) => void = () => {}
  #onTransferred: (() => void) | undefined
  #onDrained: () => void = () => {}
  #brokerBell: Doorbell | undefined
  #closing = false
  #failure = ''
  #diskFull = false
  #damagedEntries = 0
  #work = ''
  #role = 'follower'
  #term = 0
  #leaderId = ''
  #servingTerm = -1
  #registeredAsLeader = false
  /** Deposed: registers as a follower when it fires. */
  #succession: NodeJS.Timeout | undefined
  #ports = { listen: 0, peer: 0 }
  #topics: { counter: number; timestampMs: number; topics: Record<string, unknown> } | undefined
  #lastStatus = { atMs: performance.now(), busyMs: mainBusyMs() }

  constructor(settings: NodeSettings, log: BrokerLog, tellWork: TellWork) {
    this.#settings = settings
    this.#log = log
    this.#tellWork = tellWork
    this.#networkWorkers = new NetworkWorkers(this.#threads, log)
    this.whenServing = new Promise((resolve) => {
      this.#onServing = resolve
    })
    this.whenFailed = new Promise((_resolve, reject) => {
      this.#onFailed = reject
    })
    this.whenFailed.catch(() => {})
    this.#registrar = new Registrar({
      nameServers: settings.nameServers,
      clusterName: settings.brokerClusterName,
      brokerName: settings.brokerName,
      brokerAddress: `${settings.brokerIP1}:${settings.listenPort}`,
      haServerAddress: `${settings.brokerIP1}:${settings.listenPort + 1}`,
      periodMs: settings.registerNameServerPeriodMs,
      log,
    })
  }

  async start(): Promise<void> {
    try {
      await this.#startThreads()
    } catch (error) {
      this.#closing = true
      await this.#registrar.close(this.#followerId)
      await this.#threads.terminate()
      throw this.#startError(error)
    }
  }

  #startError(error: unknown): unknown {
    if (!(error instanceof LedgerError) || error.code !== 'DISK_FULL') return error
    const where = this.#settings.storePathRootDir
    const message = `the disk of ${where} is full, and a start needs some MiB: free them and start again (${error.message})`
    return new LedgerError('DISK_FULL', message, { cause: error })
  }

  async #startThreads(): Promise<void> {
    const settings = this.#settings
    refuseHalfAdopted(settings.storePathRootDir)
    const plain = isPlain(settings)
    const oldLog = plain ? NO_OLD_LOG : await prepareOldLog(settings, this.#log, this.#tellWork)
    this.#tellWork('starts its threads')
    const shared = allocateShared(settings)
    this.#brokerBell = new Doorbell(shared.brokerBell)
    const recovered = plain
      ? await this.#startPlainIo(shared)
      : await this.#startIo(shared, oldLog.dividedPosition)
    const { firstPosition, endPosition } = 'tail' in recovered ? recovered.tail : recovered
    const brokerData: BrokerWorkerData = {
      settings,
      shared,
      oldLog,
      logFirstPosition: firstPosition,
      logEndPosition: endPosition,
    }
    this.#broker = await this.#threads.start<BrokerNote>({
      name: 'broker',
      entry: new URL('./broker.worker.ts', import.meta.url),
      data: brokerData,
      until: 'ready',
      onNote: (note) => this.#onBrokerNote(note),
    })
    const coreData: CoreWorkerData = { settings, shared, recovered }
    this.#core = await this.#threads.start<CoreNote>({
      name: 'core',
      entry: new URL('./core.worker.ts', import.meta.url),
      data: coreData,
      until: 'joined',
      onNote: (note) => this.#onCoreNote(note),
    })
    if (shared.fronts.length > 0) {
      this.#ports.listen = await this.#networkWorkers.start(settings, shared)
    }
    flushCompileCache()
  }

  async #startIo(shared: SharedParts, beginsAt: number): Promise<Recovered> {
    const { store } = ledgerSettingsOf(this.#settings)
    const { worker: io, recovered } = await startIoWorker({
      config: { ...store, beginsAt },
      arena: shared.arena,
      port: shared.ioPort,
      coreDoorbell: shared.coreBell,
    })
    this.#io = io
    this.#threads.watch(io, 'io')
    for (const line of recovered.report) this.#log('info', line)
    return recovered
  }

  async #startPlainIo(shared: SharedParts): Promise<PlainRecovered> {
    const settings = this.#settings
    refuseRaftLog(settings)
    const data: PlainIoWorkerData = {
      root: settings.storePathRootDir,
      config: plainIoConfigOf(settings),
      arena: shared.arena,
      io: shared.plainIo,
      coreBell: shared.coreBell,
    }
    let found: PlainRecovered = { firstPosition: 0, endPosition: 0 }
    this.#io = await this.#threads.start<PlainIoNote>({
      name: 'io',
      entry: new URL('./plain/plain-io.worker.ts', import.meta.url),
      data,
      until: 'recovered',
      onNote: (note) => {
        if (note.kind === 'recovered') found = note.recovered
        else this.#log(note.level, note.line)
      },
    })
    return found
  }

  #onThreadFailed(reason: string, code: 'CLOSED' | 'DISK_FAILED'): void {
    if (this.#closing) return
    this.#closing = true
    this.#failure = reason
    this.#log('error', `${reason}; this process stops`)
    const fail = (): void => this.#onFailed(new LedgerError(code, reason))
    const limit = setTimeout(fail, LAST_ANSWERS_LIMIT_MS)
    void this.#closeClients().then(() => {
      clearTimeout(limit)
      fail()
    })
  }

  async #closeClients(): Promise<void> {
    await this.#drainBroker()
    await this.#networkWorkers.drain()
    await this.#closeThread(this.#core)
  }

  #onCoreNote(note: CoreNote): void {
    switch (note.kind) {
      case 'log':
        this.#log(note.level, note.line)
        break
      case 'joined':
        this.#ports.peer = note.peerPort
        this.#ports.listen = note.port ?? this.#ports.listen
        break
      case 'role':
        this.#onRole(note.role, note.term, note.leaderId, note.reason)
        break
      case 'halted':
        this.#threads.fail(
          `the node left its group: ${note.reason}`,
          note.diskFailed ? 'DISK_FAILED' : 'CLOSED',
        )
        break
      case 'diskFull':
        this.#diskFull = note.full
        break
      case 'damaged':
        this.#damagedEntries = note.entries
        break
      case 'transferred':
        this.#log('info', `leadership transfer: ${note.reason}`)
        this.#onTransferred?.()
        break
      case 'closed':
        break
    }
  }

  #onBrokerNote(note: BrokerNote): void {
    switch (note.kind) {
      case 'log':
        this.#log(note.level, note.line)
        break
      case 'serving':
        this.#servingTerm = note.term
        this.#log('info', `leads term ${note.term} and takes writes`)
        this.#onServing()
        this.#register()
        break
      case 'work':
        this.#work = note.text
        break
      case 'topics':
        this.#topics = note
        this.#register()
        break
      case 'drained':
        this.#onDrained()
        break
      case 'ready':
      case 'closed':
        break
    }
  }

  #onRole(role: string, term: number, leaderId: string, reason: string): void {
    const changed = role !== this.#role || term !== this.#term || leaderId !== this.#leaderId
    this.#role = role
    this.#term = term
    this.#leaderId = leaderId
    if (!changed) return
    if (role === 'leader' || role === 'follower') {
      const leader = leaderId === '' ? 'no leader known' : `leader ${leaderId}`
      this.#log('info', `${role} in term ${term}, ${leader} (${reason})`)
    }
    const follows = role === 'follower' && leaderId !== ''
    if (follows) this.#onServing()
    // The broker thread's word that it serves may come before the core thread's that it leads.
    if (follows || role === 'leader' || this.#registeredAsLeader) this.#register()
  }

  /**
   * Leaders register when they serve, followers when they know their leader (as Apache: after the
   * first role event), and a deposed leader whether it knows one or not: a name server that is cut
   * off together with it would go on sending clients here. It leaves the next leader the time to
   * register first, which takes broker id 0 from it, so that no client finds a route without any.
   */
  #register(): void {
    if (this.#role === 'leader') {
      if (this.#servingTerm === this.#term) this.#registerAs(0)
    } else if (this.#registeredAsLeader) {
      this.#succession ??= setTimeout(() => {
        this.#succession = undefined
        if (this.#role !== 'leader') this.#registerAs(this.#followerId)
      }, SUCCESSOR_FIRST_MS)
    } else if (this.#leaderId !== '') this.#registerAs(this.#followerId)
  }

  #registerAs(brokerId: number): void {
    const topics = this.#topics
    if (topics === undefined || this.#closing) return
    clearTimeout(this.#succession)
    this.#succession = undefined
    this.#registeredAsLeader = brokerId === 0
    const registration: Registration = {
      brokerId,
      stateVersion: this.#term,
      counter: topics.counter,
      timestampMs: topics.timestampMs,
      topics: topics.topics,
    }
    this.#registrar.register(registration)
  }

  get #followerId(): number {
    return followerBrokerId(this.#settings.dLegerSelfId)
  }

  status(): BrokerStatus {
    const before = this.#lastStatus
    this.#lastStatus = { atMs: performance.now(), busyMs: mainBusyMs() }
    const { atMs, busyMs } = this.#lastStatus
    return {
      role: this.#role,
      term: this.#term,
      leaderId: this.#leaderId,
      serving: this.#role === 'leader' && this.#servingTerm === this.#term,
      listenPort: this.#ports.listen,
      peerPort: this.#ports.peer,
      work: this.#work,
      diskFull: this.#diskFull,
      damagedEntries: this.#damagedEntries,
      failure: this.#failure,
      mainUtilization: (busyMs - before.busyMs) / (atMs - before.atMs),
    }
  }

  async close(): Promise<void> {
    if (this.#closing) return
    await this.#handOver()
    this.#closing = true
    this.#threads.expectEnds()
    clearTimeout(this.#succession)
    await this.#registrar.close(this.#role === 'leader' ? 0 : this.#followerId)
    const ioEnded = this.#io === undefined ? Promise.resolve() : whenEnded(this.#io)
    await this.#drainBroker()
    await this.#networkWorkers.drain()
    // The core thread closes its ports and tells the IO thread to close the store behind the last
    // write.
    await this.#closeThread(this.#core)
    await this.#closeThread(this.#broker)
    await this.#networkWorkers.end()
    await ioEnded
  }

  /**
   * A leader gives its office away before it goes, so that clients wait milliseconds and not an
   * election.
   */
  async #handOver(): Promise<void> {
    if (this.#role !== 'leader' || this.#settings.peers.length === 1) return
    await new Promise<void>((resolve) => {
      this.#onTransferred = resolve
      this.#order(this.#core, { kind: 'transfer' })
    })
  }

  /** Pulls that wait are answered while their connections are still there. */
  async #drainBroker(): Promise<void> {
    const broker = this.#broker
    if (broker === undefined) return
    const drained = new Promise<void>((resolve) => {
      this.#onDrained = resolve
    })
    this.#order(broker, { kind: 'drain' })
    this.#brokerBell?.ring()
    await Promise.race([drained, whenEnded(broker)])
  }

  #order(worker: Worker | undefined, order: CoreOrder | BrokerOrder): void {
    worker?.postMessage(order)
  }

  #closeThread(worker: Worker | undefined): Promise<void> {
    if (worker === undefined) return Promise.resolve()
    const ended = whenEnded(worker)
    this.#order(worker, { kind: 'close' })
    // The broker thread sleeps without an event loop.
    this.#brokerBell?.ring()
    return ended
  }
}

/**
 * Not `performance.eventLoopUtilization`: it takes a wait that a signal ended for work, and status
 * is asked for by a signal.
 */
function mainBusyMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
