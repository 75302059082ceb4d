/**
 * One trial: groups on three servers, clients that record what they are told, faults, and checks
 * of the histories while they grow. A violation ends it early.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '@ringledger/base'
import { OwnProcess } from '../harness/line-process.ts'
import { ROOT } from '../support/run-command.ts'
import { type Finding, HistoryCheck } from './checker.ts'
import type { ClientsConfig } from './clients.ts'
import { CHANGES, type Line, nowNs, type OperationLine, type Outcome } from './history.ts'
import { CLIENT, Lab } from './lab.ts'
import { Members, type Target } from './members.ts'
import { type FaultKind, Nemesis } from './nemesis.ts'

export interface TrialOptions {
  readonly durationMs: number
  readonly seed: number
  readonly targets: readonly Target[]
  /** For each target. */
  readonly clients?: number
  /** A deliberate bug of mutations.ts. */
  readonly mutation?: string
  /** Only faults whose words hold this. */
  readonly only?: string
  /** Histories are kept also when nothing was found. */
  readonly keep?: boolean
  readonly onProgress?: (progress: TrialResult) => void
}

export interface TargetResult {
  readonly target: Target
  readonly operations: Record<Outcome, number>
  /** Acknowledged changes. */
  readonly changes: number
  readonly longestGapMs: number
  readonly checked: number
  readonly findings: readonly Finding[]
}

export interface TrialResult {
  readonly seed: number
  readonly elapsedMs: number
  readonly faults: Record<FaultKind, number>
  readonly faultsByName: Record<string, number>
  readonly targets: readonly TargetResult[]
  /** Processes that ended by themselves or said that something is wrong. */
  readonly troubles: readonly string[]
  /** Histories and logs; undefined when they were removed. */
  readonly directory: string | undefined
  readonly ok: boolean
}

const NODE_IDS: readonly string[] = ['n0', 'n1', 'n2']
const CLIENTS = 12
const PROGRESS_MS = 5000
const START_LIMIT_MS = 60_000
const SETTLE_LIMIT_MS = 15_000

/** One group with its clients and its history. */
class Run {
  readonly target: Target
  readonly members: Members
  readonly check: HistoryCheck
  readonly operations: Record<Outcome, number> = { ok: 0, failed: 0, unknown: 0 }
  changes = 0
  longestGapMs = 0
  checked = 0
  leader: string | undefined
  #clients: OwnProcess | undefined
  #lastChangeMs = 0
  #ending = false
  readonly #options: TrialOptions
  readonly #lab: Lab
  readonly #directory: string
  readonly #onTrouble: (text: string) => void
  #onLeader: () => void = () => {}
  #onEnded: () => void = () => {}
  #onChange: () => void = () => {}

  constructor(
    target: Target,
    options: TrialOptions,
    lab: Lab,
    directory: string,
    onTrouble: (text: string) => void,
  ) {
    this.target = target
    this.#options = options
    this.#lab = lab
    this.#directory = join(directory, target)
    this.#onTrouble = onTrouble
    this.check = new HistoryCheck(this.#directory, ({ verdict }) => {
      if (verdict === 'ok') this.checked += 1
    })
    this.members = new Members({
      target,
      lab,
      directory: this.#directory,
      ...(options.mutation === undefined ? {} : { mutation: options.mutation }),
      onStart: (node) => this.check.add(JSON.stringify({ kind: 'start', node, call: nowNs() })),
      onTrouble,
    })
  }

  /** Resolves when a change was acknowledged. */
  async start(): Promise<void> {
    for (const id of NODE_IDS) this.members.start(id)
    const config: ClientsConfig = {
      target: this.target,
      clients: this.#options.clients ?? CLIENTS,
      seed: this.#options.seed,
      nodes: this.members.clientNodes,
    }
    const script = join(ROOT, 'test/linear/clients.ts')
    const args = [...this.#lab.on(CLIENT), process.execPath, script, JSON.stringify(config)]
    const logPath = join(this.#directory, 'clients.log')
    const led = new Promise<void>((resolve) => {
      this.#onLeader = resolve
    })
    this.#clients = new OwnProcess({ command: 'ip', args, logPath }, (line) => this.#heard(line))
    const trouble = (words: string): void => {
      this.#onTrouble(`${this.target}: ${words}`)
      this.#onLeader()
    }
    void this.#clients.ended().then(() => {
      if (!this.#ending) trouble('the clients ended by themselves')
    })
    const limit = setTimeout(() => trouble(`no leader in ${START_LIMIT_MS} ms`), START_LIMIT_MS)
    await led
    clearTimeout(limit)
  }

  /** Resolves after two more acknowledged changes, or when that takes too long. */
  async settled(): Promise<void> {
    const wanted = this.changes + 2
    await new Promise<void>((resolve) => {
      const limit = setTimeout(() => resolve(), SETTLE_LIMIT_MS)
      this.#onChange = () => {
        if (this.changes < wanted) return
        clearTimeout(limit)
        resolve()
      }
    })
    this.#onChange = () => {}
  }

  /** Has everything read again, and waits for the last verdict. */
  async end(): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#onEnded = resolve
    })
    this.#ending = true
    this.#clients?.write('end')
    await Promise.race([ended, this.#clients?.closed()])
    await this.check.end()
  }

  async stop(): Promise<void> {
    this.#ending = true
    await this.#clients?.end('SIGKILL')
    await this.members.end()
    await this.check.abandon()
  }

  result(): TargetResult {
    const { target, operations, changes, longestGapMs, checked, check } = this
    const findings = check.findings
    return { target, operations, changes, longestGapMs, checked, findings }
  }

  get wrong(): boolean {
    return this.check.findings.some(({ verdict }) => verdict === 'violation')
  }

  #heard(text: string): void {
    const line = JSON.parse(text) as Line
    if (line.kind === 'ended') {
      if (line.complete !== true) this.#onTrouble(`${this.target}: not everything could be read`)
      this.#onEnded()
    } else if (line.kind === 'leader') {
      this.leader = line.node
      this.#onLeader()
    } else {
      if (line.kind === 'op') this.#count(line)
      this.check.add(text)
    }
  }

  #count({ outcome, op, return: at }: OperationLine): void {
    this.operations[outcome] += 1
    if (outcome !== 'ok' || !CHANGES.has(op)) return
    this.changes += 1
    this.#onChange()
    const atMs = at / 1e6
    if (this.#lastChangeMs > 0) {
      this.longestGapMs = Math.max(this.longestGapMs, Math.round(atMs - this.#lastChangeMs))
    }
    this.#lastChangeMs = atMs
  }
}

class Trial {
  readonly #options: TrialOptions
  readonly #directory: string = mkdtempSync(join(tmpdir(), 'linear-'))
  readonly #lab = new Lab(NODE_IDS)
  readonly #faults: Record<FaultKind, number> = { kill: 0, stop: 0, partition: 0 }
  readonly #faultsByName: Record<string, number> = {}
  readonly #troubles: string[] = []
  readonly #beganMs = performance.now()
  readonly #runs: readonly Run[]
  readonly #removeData = (): void => rmSync(this.#directory, { recursive: true, force: true })

  constructor(options: TrialOptions) {
    // What was interrupted has found nothing.
    process.once('exit', this.#removeData)
    this.#options = options
    this.#runs = options.targets.map(
      (target) =>
        new Run(target, options, this.#lab, this.#directory, (text) => this.#troubles.push(text)),
    )
  }

  async run(): Promise<TrialResult> {
    const { onProgress } = this.#options
    const timer = setInterval(() => onProgress?.(this.#result()), PROGRESS_MS)
    try {
      await Promise.all(this.#runs.map((run) => run.start()))
      await this.#disturb()
      await Promise.all(this.#runs.map((run) => run.end()))
    } finally {
      clearInterval(timer)
      await Promise.all(this.#runs.map((run) => run.stop()))
      this.#lab.remove()
    }
    process.off('exit', this.#removeData)
    const result = this.#result()
    if (!result.ok || this.#options.keep === true) return result
    this.#removeData()
    return { ...result, directory: undefined }
  }

  async #disturb(): Promise<void> {
    const { seed, durationMs, only } = this.#options
    const random = seededRandom(seed)
    const endMs = performance.now() + durationMs
    const nemesis = new Nemesis({
      lab: this.#lab,
      groups: this.#runs.map(({ members }) => members),
      random,
      ...(only === undefined ? {} : { only }),
      leader: () => this.#runs[Math.floor(random() * this.#runs.length)]?.leader,
      settled: async () => {
        await Promise.all(this.#runs.map((run) => run.settled()))
      },
      onFault: (kind, words) => {
        this.#faults[kind] += 1
        this.#faultsByName[words] = (this.#faultsByName[words] ?? 0) + 1
        for (const { check } of this.#runs) {
          check.add(JSON.stringify({ kind: 'fault', words, call: nowNs() }))
        }
      },
    })
    const wrong = (): boolean => this.#troubles.length > 0 || this.#runs.some((run) => run.wrong)
    await nemesis.run(() => wrong() || performance.now() > endMs)
  }

  #result(): TrialResult {
    const targets = this.#runs.map((run) => run.result())
    const troubles = this.#troubles
    const clean = targets.every(({ findings }) => findings.every(isFine))
    return {
      seed: this.#options.seed,
      elapsedMs: Math.round(performance.now() - this.#beganMs),
      faults: this.#faults,
      faultsByName: this.#faultsByName,
      targets,
      troubles,
      directory: this.#directory,
      ok: clean && troubles.length === 0,
    }
  }
}

function isFine({ verdict, violations, undecided }: Finding): boolean {
  return verdict === 'done' && violations === undefined && undecided === undefined
}

/** Runs a trial; the groups, their networks and data are gone when it resolves. */
export async function runTrial(options: TrialOptions): Promise<TrialResult> {
  return await new Trial(options).run()
}
