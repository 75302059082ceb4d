/**
 * A group of `ledger server` processes on this machine and the `ledger` command beside it. Every
 * wait is for a line that a server writes; nothing outlives the test.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { OwnProcess } from '../harness/line-process.ts'
import { freePorts } from '../support/ports.ts'
import { type CommandResult, ROOT, runCommand } from '../support/run-command.ts'

export const LEDGER: string = join(ROOT, 'packages/ledger-cli/bin/ledger.mjs')

/** One of the lines that `ledger server --json` writes. */
export interface ServerLine {
  readonly event?: 'listening' | 'role' | 'halted' | 'closing' | 'closed'
  readonly level: string
  readonly message: string
  readonly role?: string
  readonly term?: number
  readonly leaderId?: string
}

export class LedgerProcess {
  readonly id: string
  readonly storeDirectory: string
  readonly #args: readonly string[]
  readonly #logPath: string
  readonly #onLine: () => void
  #process: OwnProcess | undefined
  /** Of the running process. */
  #lines: ServerLine[] = []

  constructor(id: string, root: string, args: readonly string[], onLine: () => void) {
    this.id = id
    this.storeDirectory = join(root, id)
    this.#args = args
    this.#logPath = join(root, `${id}.log`)
    this.#onLine = onLine
  }

  start(): void {
    this.#lines = []
    const store = ['--id', this.id, '--store-dir', this.storeDirectory]
    const args = [LEDGER, 'server', ...store, '--json', ...this.#args]
    const start = { command: process.execPath, args, logPath: this.#logPath }
    this.#process = new OwnProcess(start, (line) => {
      this.#lines.push(JSON.parse(line) as ServerLine)
      this.#onLine()
    })
    void this.#process.ended().then(() => this.#onLine())
  }

  get runs(): boolean {
    return this.#process?.runs === true
  }

  get listens(): boolean {
    return this.runs && this.#lines.some(({ event }) => event === 'listening')
  }

  /** The last role that it told. */
  get role(): ServerLine | undefined {
    return this.runs ? this.#lines.findLast(({ event }) => event === 'role') : undefined
  }

  get closedInOrder(): boolean {
    return this.#lines.some(({ event }) => event === 'closed')
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.signal(signal)
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    await this.#process?.end(signal)
  }

  get log(): string {
    return readFileSync(this.#logPath, 'utf8')
  }
}

export class LedgerGroup {
  readonly members: readonly LedgerProcess[]
  /** `--peers` of servers and clients. */
  readonly peers: string
  readonly clients: string
  readonly group = 'g1'
  #waiters: { holds: () => boolean; resolve: () => void }[] = []

  private constructor(root: string, ports: readonly number[], extra: readonly string[]) {
    const ids = ports.slice(ports.length / 2).map((_, at) => `n${at}`)
    const list = (from: number): string => {
      return ids.map((id, at) => `${id}-127.0.0.1:${ports[from + at]}`).join(';')
    }
    this.peers = list(0)
    this.clients = list(ids.length)
    const args = ['--group', this.group, '--peers', this.peers, '--clients', this.clients]
    this.members = ids.map((id) => {
      return new LedgerProcess(id, root, [...args, ...extra], () => this.#changed())
    })
  }

  /** `extra` are more options of every `ledger server`. */
  static async start(
    root: string,
    count: number,
    extra: readonly string[] = [],
  ): Promise<LedgerGroup> {
    const group = new LedgerGroup(root, await freePorts(count * 2), extra)
    for (const member of group.members) member.start()
    await group.until(() => group.members.every((member) => member.listens || !member.runs))
    for (const member of group.members) assert.ok(member.runs, `${member.id}: ${member.log}`)
    return group
  }

  /** Resolves when a running member says that it leads and the other running ones follow it. */
  async leader(): Promise<LedgerProcess> {
    const find = (): LedgerProcess | undefined => {
      const running = this.members.filter(({ runs }) => runs)
      const leader = running.find(({ role }) => role?.role === 'leader')
      const agreed = running.every(({ role }) => role?.leaderId === leader?.id)
      return agreed ? leader : undefined
    }
    await this.until(() => find() !== undefined)
    const leader = find()
    assert.ok(leader !== undefined)
    return leader
  }

  /** Resolves once `holds`, which is looked at after every line of a server. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push({ holds, resolve }))
  }

  /** Runs `ledger <command>` against this group. */
  client(command: string, ...args: readonly string[]): Promise<CommandResult> {
    const where = ['--group', this.group, '--clients', this.clients, '--timeout', '30000']
    return ledger(command, ...where, ...args)
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.end('SIGKILL')))
  }

  #changed(): void {
    const met = this.#waiters.filter(({ holds }) => holds())
    this.#waiters = this.#waiters.filter((waiter) => !met.includes(waiter))
    for (const { resolve } of met) resolve()
  }
}

/** Runs `ledger` to its end. */
export function ledger(...args: readonly string[]): Promise<CommandResult> {
  return runCommand(process.execPath, [LEDGER, ...args])
}
