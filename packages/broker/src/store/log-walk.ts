/**
 * Reads the log one step at a time, from its files: entries of the Raft log, and below them the
 * messages of a plain one. Owns the rule that what a step says was checked whole; of a plain log,
 * damage is a step of its own that is reported and holds nothing, because nobody can repair it.
 */
import { checkEntry } from '@ringledger/protocol'
import type { EntryPlan } from './entry-plan.ts'
import { LogWindow } from './log-window.ts'
import type { LogFiles } from './message-reader.ts'
import { PlainKind, PlainWindow } from './plain-window.ts'

export class LogWalk {
  readonly #files: LogFiles
  readonly #plan: EntryPlan
  readonly #log: (line: string) => void
  readonly #window: LogWindow
  readonly #plainWindow: PlainWindow | undefined
  /** Bytes of the plain log that were no message: so much may be missing. */
  gapBytes = 0

  /** Every step fills `plan`. */
  constructor(files: LogFiles, plan: EntryPlan, log: (line: string) => void) {
    this.#files = files
    this.#plan = plan
    this.#log = log
    this.#window = new LogWindow(files)
    this.#plainWindow = files.plain === undefined ? undefined : new PlainWindow(files.plain)
  }

  /**
   * Looks at what stands at `position`; the log is read up to `end` at most. With `stateOnly`
   * ordinary messages are not looked into. @throws DamagedLogError
   */
  look(position: number, end: number, stateOnly: boolean): void {
    const { plain } = this.#files
    if (plain !== undefined && position < plain.dividedPosition)
      this.#lookPlain(position, stateOnly)
    else this.#lookEntry(position, end, stateOnly)
  }

  /** What was read ahead is read anew: the log is another one now. */
  forget(): void {
    this.#window.forget()
  }

  #lookEntry(position: number, end: number, stateOnly: boolean): void {
    const window = this.#window
    const offset = window.load(position, end)
    const { bytes, view, filled } = window
    const found = checkEntry(bytes, view, offset, filled - offset, { position })
    if (found === 'bodyCrc') throw window.damaged(position, found)
    const problem = this.#plan.look(bytes, view, offset, filled, position, end, stateOnly)
    if (problem !== '') throw window.damaged(position, problem)
  }

  #lookPlain(position: number, stateOnly: boolean): void {
    const window = this.#plainWindow!
    window.look(position)
    const { kind, bytes, view, offset, sizeBytes } = window
    if (kind !== PlainKind.MESSAGE) {
      this.#plan.skip(sizeBytes)
      if (kind === PlainKind.GAP) this.#report(position, sizeBytes, window.reason)
      return
    }
    const problem = this.#plan.lookPlain(bytes, view, offset, position, sizeBytes, stateOnly)
    if (problem === '') return
    this.#plan.skip(sizeBytes)
    this.#report(position, sizeBytes, problem)
  }

  #report(position: number, sizeBytes: number, reason: string): void {
    const plain = this.#files.plain!
    this.gapBytes += sizeBytes
    const until = position + sizeBytes
    if (plain.reported.has(position)) return
    plain.reported.add(position)
    const path = plain.fileAt(position)?.path
    this.#log(
      path === undefined
        ? `old commit log: no file holds positions ${position} to ${until}; what was there is missing`
        : `old commit log: ${path} has no message at positions ${position} to ${until} (${reason}); ` +
            'what was there is missing, what follows is served',
    )
  }
}
