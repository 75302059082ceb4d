/** A process whose stdout is read line by line; it never outlives this one. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import type { Readable } from 'node:stream'

/** Every process that runs; they are killed when this one ends, stopped ones too. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export interface Start {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** stderr goes there, and stdout too when nobody reads it. */
  readonly logPath: string
}

export class OwnProcess {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #closed: Promise<unknown>

  /** `onLine` takes stdout; without it, it goes to the log. */
  constructor(start: Start, onLine?: (line: string) => void) {
    const log = openSync(start.logPath, 'a')
    this.#child = spawn(start.command, start.args, {
      ...(start.cwd === undefined ? {} : { cwd: start.cwd }),
      env: start.env ?? process.env,
      stdio: ['pipe', onLine === undefined ? log : 'pipe', log, 'pipe'],
    })
    closeSync(log)
    running.add(this.#child)
    this.#exited = once(this.#child, 'exit').then(() => running.delete(this.#child))
    this.#closed = once(this.#child, 'close')
    // Writing to a process that was killed is found out by its exit.
    this.#child.stdin?.on('error', () => {})
    if (onLine !== undefined && this.#child.stdout !== null) {
      readLines(this.#child.stdout, onLine)
    }
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get runs(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Null while it runs, and after a signal. */
  get exitCode(): number | null {
    return this.#child.exitCode
  }

  /** The descriptor 3 of the process, read line by line. */
  readSteps(onLine: (line: string) => void): void {
    readLines(this.#child.stdio[3] as Readable, onLine)
  }

  write(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** No more lines will be written. */
  endInput(): void {
    this.#child.stdin?.end()
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Resolves when it has ended, by itself or by a signal. */
  async ended(): Promise<void> {
    await this.#exited
  }

  /** Resolves when it has ended and its last line was read. */
  async closed(): Promise<void> {
    await this.#closed
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.runs) this.signal(signal)
    await this.#exited
  }
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  })
}
