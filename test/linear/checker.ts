/** The checker of histories (checker/, Go), built once for its sources, and one running process. */
import { createWriteStream, mkdirSync, readdirSync, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import { OwnProcess } from '../harness/line-process.ts'
import { goProgram } from '../harness/tools.ts'
import { ROOT } from '../support/run-command.ts'

const SOURCES = join(ROOT, 'test/linear/checker')

export interface Finding {
  readonly verdict: 'ok' | 'violation' | 'undecided' | 'done'
  readonly object?: string
  /** `linearizable`, or a rule of checker/places.go. */
  readonly rule?: string
  readonly text?: string
  readonly visualization?: string
  readonly operations: number
  readonly objects?: number
  readonly violations?: number
  readonly undecided?: number
  readonly longestMs?: number
}

/** Path of the built program. */
export function checkerProgram(): string {
  const files = readdirSync(SOURCES).filter((name) => !name.endsWith('_test.go'))
  return goProgram(SOURCES, files)
}

/** Keeps a history in a file and has it checked while it grows. */
export class HistoryCheck {
  readonly path: string
  /** All but `ok`. */
  readonly findings: Finding[] = []
  readonly #file: WriteStream
  readonly #process: OwnProcess
  readonly #onFinding: (finding: Finding) => void

  constructor(directory: string, onFinding: (finding: Finding) => void) {
    this.#onFinding = onFinding
    mkdirSync(directory, { recursive: true })
    this.path = join(directory, 'history.jsonl')
    this.#file = createWriteStream(this.path)
    const args = ['-n', '5', checkerProgram(), '-visualizations', directory]
    const logPath = join(directory, 'checker.log')
    const start = { command: 'nice', args, logPath, env: { ...process.env, GOMAXPROCS: '1' } }
    this.#process = new OwnProcess(start, (line) => this.#found(JSON.parse(line) as Finding))
  }

  add(line: string): void {
    this.#file.write(`${line}\n`)
    this.#process.write(line)
  }

  /** Resolves with the last finding when all is checked. @throws Error when it was no history. */
  async end(): Promise<Finding> {
    await new Promise<void>((resolve) => this.#file.end(() => resolve()))
    this.#process.endInput()
    await this.#process.closed()
    const done = this.findings.find(({ verdict }) => verdict === 'done')
    if (done === undefined) throw new Error(`the checker gave up: see ${this.path}`)
    return done
  }

  /** Without a verdict. */
  async abandon(): Promise<void> {
    await this.#process.end('SIGKILL')
    this.#file.destroy()
  }

  #found(finding: Finding): void {
    if (finding.verdict !== 'ok') this.findings.push(finding)
    this.#onFinding(finding)
  }
}
