/**
 * A real client in a process of its own, driven by lines: `id command name=value …` in, one JSON
 * line with that id back when it is done, and lines without an id for every message that was
 * acknowledged or consumed. test/clients holds such a program for each client.
 */
import { OwnProcess } from './line-process.ts'
import type { Delivery, Sent } from './messages.ts'

/** Longest that a command may take; only a test that has failed waits for it. */
const LIMIT_MS = 120_000

export type Arguments = Readonly<Record<string, string | number | boolean>>
export type Answer = Readonly<Record<string, string | number>>

export interface Program {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

interface Call {
  resolve(answer: Answer): void
  reject(error: Error): void
}

type Line = Answer & { readonly event?: string; readonly id?: string; readonly error?: string }

export class ClientDriver {
  /** Every message that a consumer of this process got, in the order in which they were told. */
  readonly deliveries: Delivery[] = []
  /** Every message that was acknowledged to a producer of this process. */
  readonly sent: Sent[] = []
  readonly #process: OwnProcess
  readonly #limitMs: number
  readonly #calls = new Map<string, Call>()
  #looks: (() => void)[] = []
  #lastId = 0

  /** `limitMs`: longest that a command may take. */
  constructor(program: Program, nameServer: string, logPath: string, limitMs: number = LIMIT_MS) {
    this.#limitMs = limitMs
    const args = [...program.args, nameServer]
    this.#process = new OwnProcess({ ...program, args, logPath }, (line) => this.#onLine(line))
    void this.#process.ended().then(() => this.#onEnded())
  }

  /** Resolves with the answer. @throws Error with what the client said. */
  call(command: string, values: Arguments = {}): Promise<Answer> {
    return this.say(
      command,
      Object.entries(values).map(([name, value]) => `${name}=${value}`),
    )
  }

  /** Like call, with words of any form; they hold no blanks. */
  say(command: string, words: readonly string[]): Promise<Answer> {
    const id = String(++this.#lastId)
    return this.#limited(`${command} ${words.join(' ')}`, (resolve, reject) => {
      this.#calls.set(id, { resolve, reject })
      this.#process.write([id, command, ...words].join(' '))
    })
  }

  /** Resolves when `wanted` holds for what was told so far; looked at with every line. */
  until(what: string, wanted: () => boolean): Promise<void> {
    return this.#limited(what, (resolve) => {
      const look = (): void => {
        if (!wanted()) this.#looks.push(look)
        else resolve()
      }
      look()
    })
  }

  /** Resolves when `count` messages were acknowledged to producers of this process. */
  acknowledged(count: number): Promise<void> {
    return this.until(`${count} acknowledgements`, () => this.sent.length >= count)
  }

  /** Ends the process without farewell: connections just close. */
  async kill(): Promise<void> {
    await this.#process.end('SIGKILL')
  }

  #limited<T>(
    what: string,
    start: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const counts = (): string =>
        `${this.sent.length} acknowledged, ${this.deliveries.length} delivered`
      const limit = setTimeout(
        () => reject(new Error(`${what}: not after ${this.#limitMs} ms (${counts()})`)),
        this.#limitMs,
      )
      const settled = (): void => clearTimeout(limit)
      start(
        (value) => {
          settled()
          resolve(value)
        },
        (error) => {
          settled()
          reject(error)
        },
      )
    })
  }

  #onLine(text: string): void {
    if (!text.startsWith('{')) return
    const line = JSON.parse(text) as Line
    if (line.event === 'got') this.deliveries.push(line as unknown as Delivery)
    else if (line.event === 'sent') this.sent.push(line as unknown as Sent)
    else if (line.id !== undefined) this.#onAnswer(line.id, line)
    const looks = this.#looks
    this.#looks = []
    for (const look of looks) look()
  }

  #onAnswer(id: string, line: Line): void {
    const call = this.#calls.get(id)
    this.#calls.delete(id)
    if (line.error === undefined) call?.resolve(line)
    else call?.reject(new Error(line.error))
  }

  #onEnded(): void {
    for (const call of this.#calls.values()) call.reject(new Error('the client ended'))
    this.#calls.clear()
  }
}
