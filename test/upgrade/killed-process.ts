/** Runs programs that are killed at one of their calls, see kill-at-step.ts. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { OwnProcess } from '../harness/line-process.ts'

const HOOK = pathToFileURL(join(import.meta.dirname, 'kill-at-step.ts')).href

/**
 * Of a process that is killed at call `step` of `thread`, or that counts into the file `countTo`.
 */
export function killEnvironment(options: {
  readonly thread?: number
  readonly step?: number
  readonly countTo?: string
}): NodeJS.ProcessEnv {
  const { thread = 0, step, countTo } = options
  return {
    NODE_OPTIONS: `--import=${HOOK}`,
    ...(step === undefined ? {} : { KILL_AT: `${thread}:${step}` }),
    ...(countTo === undefined ? {} : { COUNT_TO: countTo }),
  }
}

/** The calls that a thread made, of a program that counted; 0 when it said nothing. */
export function countOf(path: string, thread = 0): number {
  if (!existsSync(path)) return 0
  const lines = readFileSync(path, 'utf8').trim().split('\n')
  const found = lines.find((line) => line.startsWith(`${thread} `))
  return Number(found?.slice(found.indexOf(' ') + 1) ?? 0)
}

export class KilledRuns {
  readonly #directory: string

  /** Logs and counts go there. */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** Runs it to its end, which must be a good one; resolves with the number of its calls. */
  async whole(args: readonly string[]): Promise<number> {
    const countTo = join(this.#directory, 'count')
    rmSync(countTo, { force: true })
    const child = await this.#run(args, killEnvironment({ countTo }))
    if (child.exitCode !== 0) throw new Error(`${args.join(' ')}:\n${this.#log()}`)
    return countOf(countTo)
  }

  /** Kills it at that call; false: it ended well before. */
  async killedAt(step: number, args: readonly string[]): Promise<boolean> {
    const child = await this.#run(args, killEnvironment({ step }))
    if (child.exitCode !== 0 && child.exitCode !== null) {
      throw new Error(`${args.join(' ')}, killed at ${step}:\n${this.#log()}`)
    }
    return child.exitCode === null
  }

  async #run(args: readonly string[], env: NodeJS.ProcessEnv): Promise<OwnProcess> {
    const child = new OwnProcess({
      command: process.execPath,
      args,
      env: { ...process.env, ...env },
      logPath: this.#logPath,
    })
    await child.closed()
    return child
  }

  get #logPath(): string {
    return join(this.#directory, 'runs.log')
  }

  #log(): string {
    return readFileSync(this.#logPath, 'utf8')
  }
}
