/**
 * A server command that is told when it listens and serves (RINGLEDGER_READY_FD), and ended by its
 * pid.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'

export class ServerProcess {
  readonly #child: ChildProcess
  #log = ''
  #steps = ''

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, RINGLEDGER_READY_FD: '3' },
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log += text
      })
    }
  }

  /** Resolves at the step. @throws Error with the log when the process ended before. */
  async reached(step: 'listening' | 'serving'): Promise<void> {
    const ready = this.#child.stdio[3] as Readable
    while (!this.#steps.includes(`${step}\n`)) {
      const chunk: unknown = ready.read()
      if (chunk !== null) this.#steps += String(chunk)
      else if (ready.readableEnded || ready.destroyed) throw new Error(`ended:\n${this.#log}`)
      else await Promise.race([once(ready, 'readable'), once(ready, 'end')])
    }
  }

  get log(): string {
    return this.#log
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill(signal)
    await exited
  }
}
