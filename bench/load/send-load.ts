/**
 * Sends messages to one broker, in an open loop (`rate`: they start when they are meant to) or in a
 * closed one (`window`: each answer starts the next). Owns the rule that nothing is left out: who
 * is not answered in the end counts with the time waited so far.
 */
import { SendConnection, type SendTemplate } from '../resilience/send-connection.ts'
import { Lanes } from './lanes.ts'
import { LatencyRecorder, type LatencySummary } from './latency.ts'
import { Schedule } from './schedule.ts'

export interface SendLoadOptions {
  readonly address: string
  readonly templates: readonly SendTemplate[]
  readonly connections: number
  /** Messages a second, or undefined for a closed loop. */
  readonly rate?: number
  /** Unanswered messages of a connection in a closed loop. */
  readonly window?: number
  readonly warmupSeconds: number
  readonly seconds: number
  /** How long answers are waited for after the last message; 5 s when absent. */
  readonly drainMs?: number
}

export interface SendResult {
  /** Messages that were meant to start in the time measured; closed loop: that were answered. */
  readonly due: number
  /** Acknowledgements that came in the time measured, a second. */
  readonly acknowledgedPerSecond: number
  /** All acknowledgements, those before and after that time too. */
  readonly acknowledged: number
  readonly latency: LatencySummary
  /** How late the load itself was with a message: what it adds to the latency of the server. */
  readonly senderDelay: LatencySummary
  /** Refusals of messages that were meant to start in the time measured. */
  readonly failures: ReadonlyMap<string, number>
  /**
   * Processor time of this process for each acknowledgement: what the load takes of the machine.
   */
  readonly processorPerMessageUs: number
  /** Due, and without an answer when the load ended. */
  readonly unanswered: number
}

const CONNECT_TIMEOUT_MS = 5000
const DRAIN_MS = 5000
const FIRST_ANSWER_MS = 30_000
const MAX_LANES = 65_536
const MAX_UNANSWERED_BYTES = 256 * 1024 * 1024
const CONNECTS_AT_A_TIME = 64

/** @throws Error when a connection cannot be opened or ends before the load does. */
export async function sendLoad(options: SendLoadOptions): Promise<SendResult> {
  const load = new SendLoad(options)
  return await load.run()
}

class SendLoad {
  readonly #options: SendLoadOptions
  readonly #drainMs: number
  readonly #lanes: Lanes
  readonly #latency = new LatencyRecorder()
  readonly #senderDelay = new LatencyRecorder()
  readonly #failures = new Map<string, number>()
  #connections: SendConnection[] = []
  #sent = 0
  #due = 0
  #unsent = 0
  #acknowledged = 0
  #acknowledgedInTime = 0
  #measuredFromMs: number = Number.POSITIVE_INFINITY
  #measuredToMs: number = Number.POSITIVE_INFINITY
  #ending = false
  #over = false
  #drainTimer: NodeJS.Timeout | undefined
  #onOver: (error?: Error) => void = () => {}

  constructor(options: SendLoadOptions) {
    this.#options = options
    this.#drainMs = options.drainMs ?? DRAIN_MS
    this.#lanes = new Lanes(laneCount(options))
  }

  async run(): Promise<SendResult> {
    const before = process.cpuUsage()
    try {
      await this.#open()
      await new Promise<void>((resolve, reject) => {
        this.#onOver = (error) => (error === undefined ? resolve() : reject(error))
        const startMs = performance.now()
        if (this.#options.rate === undefined) this.#startClosed()
        else this.#startOpen(this.#options.rate, startMs)
      })
      const { user, system } = process.cpuUsage(before)
      return this.#result((user + system) / Math.max(1, this.#acknowledged))
    } finally {
      this.#over = true
      clearTimeout(this.#drainTimer)
      for (const connection of this.#connections) connection.close()
    }
  }

  async #open(): Promise<void> {
    const { connections } = this.#options
    for (let at = 0; at < connections; at += CONNECTS_AT_A_TIME) {
      const count = Math.min(CONNECTS_AT_A_TIME, connections - at)
      const opened = await Promise.allSettled(
        Array.from({ length: count }, (_, index) => this.#openOne(at + index)),
      )
      for (const one of opened) if (one.status === 'fulfilled') this.#connections.push(one.value)
      for (const one of opened) if (one.status === 'rejected') throw one.reason
    }
  }

  #openOne(number: number): Promise<SendConnection> {
    const { address, templates } = this.#options
    const handlers = {
      onAnswer: (lane: number, code: number, remark: string) =>
        this.#onAnswer(number, lane, code, remark),
      onClosed: () => this.#fail('a connection of the load ended'),
    }
    const first = number % templates.length
    // Each begins with another queue, so that a thousand do not all begin with the first.
    const turned = [...templates.slice(first), ...templates.slice(0, first)]
    return SendConnection.open(address, turned, handlers, CONNECT_TIMEOUT_MS)
  }

  #setTimes(startMs: number): void {
    this.#measuredFromMs = startMs + this.#options.warmupSeconds * 1000
    this.#measuredToMs = this.#measuredFromMs + this.#options.seconds * 1000
  }

  /** The time begins with the first answer: a broker that has yet to wake up is not measured. */
  #startClosed(): void {
    const { window = 1 } = this.#options
    this.#drainTimer = setTimeout(
      () => this.#fail(`no answer in ${FIRST_ANSWER_MS} ms`),
      FIRST_ANSWER_MS,
    )
    for (const connection of this.#connections) {
      for (let at = 0; at < window; at++) {
        connection.send(this.#lanes.take(performance.now()))
      }
    }
  }

  #onFirstAnswer(nowMs: number): void {
    const { warmupSeconds, seconds } = this.#options
    this.#setTimes(nowMs)
    clearTimeout(this.#drainTimer)
    this.#drainTimer = setTimeout(() => this.#drain(), (warmupSeconds + seconds) * 1000)
  }

  #startOpen(rate: number, startMs: number): void {
    const { warmupSeconds, seconds } = this.#options
    this.#setTimes(startMs)
    const schedule = new Schedule(rate, warmupSeconds + seconds, startMs)
    const timer = setInterval(() => {
      const nowMs = performance.now()
      if (!this.#over) this.#sendDue(schedule, nowMs)
      const late = nowMs > this.#measuredToMs + this.#drainMs
      if (this.#sent < schedule.total && !late && !this.#over) return
      clearInterval(timer)
      this.#countUnsent(schedule, nowMs)
      this.#drain()
    }, 1)
  }

  #sendDue(schedule: Schedule, nowMs: number): void {
    const due = schedule.dueBy(nowMs)
    while (this.#sent < due && !this.#lanes.full) {
      const intendedMs = schedule.intendedMs(this.#sent)
      const connection = this.#connections[this.#sent % this.#connections.length]
      this.#sent++
      if (this.#isMeasured(intendedMs)) {
        this.#due++
        this.#senderDelay.record(intendedMs, nowMs)
      }
      connection?.send(this.#lanes.take(intendedMs))
    }
  }

  /** What could not even be sent has waited since it was due. */
  #countUnsent(schedule: Schedule, nowMs: number): void {
    for (; this.#sent < schedule.total; this.#sent++) {
      const intendedMs = schedule.intendedMs(this.#sent)
      if (!this.#isMeasured(intendedMs)) continue
      this.#due++
      this.#unsent++
      this.#latency.record(intendedMs, nowMs)
    }
  }

  #onAnswer(connection: number, lane: number, code: number, remark: string): void {
    if (this.#over) return
    const nowMs = performance.now()
    if (this.#measuredToMs === Number.POSITIVE_INFINITY) this.#onFirstAnswer(nowMs)
    const intendedMs = this.#lanes.release(lane)
    const measured = this.#isMeasured(intendedMs)
    if (code === 0) this.#acknowledged++
    if (code === 0 && this.#isMeasured(nowMs)) this.#acknowledgedInTime++
    if (code === 0 && measured) this.#latency.record(intendedMs, nowMs)
    if (code !== 0 && measured) this.#countFailure(code, remark)
    if (this.#options.rate === undefined && !this.#ending) {
      this.#connections[connection]?.send(this.#lanes.take(nowMs))
    }
    if (this.#ending && this.#lanes.taken === 0) this.#end()
  }

  #isMeasured(atMs: number): boolean {
    return atMs >= this.#measuredFromMs && atMs < this.#measuredToMs
  }

  /** Numbers are left out, so that failures of one kind are counted together. */
  #countFailure(code: number, remark: string): void {
    const reason = `code ${code} ${remark.replace(/\d+/g, '#')}`.trim()
    this.#failures.set(reason, (this.#failures.get(reason) ?? 0) + 1)
  }

  #drain(): void {
    this.#ending = true
    if (this.#lanes.taken === 0) this.#end()
    else this.#drainTimer = setTimeout(() => this.#end(), this.#drainMs)
  }

  #end(): void {
    this.#over = true
    this.#onOver()
  }

  #fail(reason: string): void {
    if (this.#over) return
    this.#over = true
    this.#onOver(new Error(reason))
  }

  #result(processorPerMessageUs: number): SendResult {
    const nowMs = performance.now()
    const waiting = this.#lanes.waiting().filter((at) => this.#isMeasured(at))
    for (const intendedMs of waiting) this.#latency.record(intendedMs, nowMs)
    const latency = this.#latency.summary()
    const due = this.#options.rate === undefined ? latency.count : this.#due
    return {
      due,
      acknowledgedPerSecond: this.#acknowledgedInTime / this.#options.seconds,
      acknowledged: this.#acknowledged,
      latency,
      senderDelay: this.#senderDelay.summary(),
      failures: this.#failures,
      processorPerMessageUs,
      unanswered: waiting.length + this.#unsent,
    }
  }
}

/**
 * The most that may be unanswered, so that a server that stands still does not fill this memory.
 */
function laneCount({ rate, window = 1, connections, templates }: SendLoadOptions): number {
  if (rate === undefined) return window * connections
  const frameBytes = Math.max(...templates.map(({ frame }) => frame.length))
  return Math.max(1, Math.min(MAX_LANES, Math.floor(MAX_UNANSWERED_BYTES / frameBytes)))
}
