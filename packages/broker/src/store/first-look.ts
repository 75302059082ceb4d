/**
 * Looks once through the part of a plain log whose queues were gone on with unread, while nothing
 * else is to be done. Damage is said with its place, and readers pass over what is damaged, as they
 * do where queues were built from the log. Owns the note `ringledger-unread` in the store's root:
 * it is there until the look is done, and a start that finds it takes the look up again.
 */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { onDisk, replaceFile } from '@ringledger/base/internal'
import type { QueueRepair } from './queue-repair.ts'

const NOTE = 'ringledger-unread'
/** A tenth of the time that nobody else wants. */
const STEP_MS = 10
const STEP_INTERVAL_MS = 100
const SAY_EVERY_BYTES = 1024 * 1024 * 1024

/** Before the checkpoint says that the queues are good. */
export function noteUnread(rootDirectory: string): void {
  replaceFile(join(rootDirectory, NOTE), Buffer.from('the old commit log is looked through\n'))
}

export interface FirstLookOptions {
  /** storePathRootDir */
  readonly rootDirectory: string
  readonly repair: QueueRepair
  /** The plain log's. */
  readonly firstPosition: number
  readonly dividedPosition: number
  readonly log: (line: string) => void
}

export class FirstLook {
  readonly #options: FirstLookOptions
  readonly #path: string
  #position: number
  #sayAt: number
  #dueMs = 0
  #isOver: boolean

  constructor(options: FirstLookOptions) {
    this.#options = options
    this.#path = join(options.rootDirectory, NOTE)
    this.#position = options.firstPosition
    this.#sayAt = options.firstPosition + SAY_EVERY_BYTES
    this.#isOver = !existsSync(this.#path)
  }

  /** A small step when it is due; the log begins at `first`. */
  tick(nowMs: number, first: number): void {
    if (this.#isOver || (nowMs < this.#dueMs && this.#dueMs - nowMs <= STEP_INTERVAL_MS)) return
    this.#dueMs = nowMs + STEP_INTERVAL_MS
    const { repair, dividedPosition } = this.#options
    this.#position = Math.max(this.#position, first)
    const endMs = performance.now() + STEP_MS
    while (this.#position < dividedPosition && performance.now() < endMs) {
      this.#position = repair.lookOnce(this.#position, dividedPosition)
    }
    if (this.#position >= dividedPosition) this.#finish()
    else if (this.#position >= this.#sayAt) this.#say()
  }

  /** A reader found no message at `position`: it is looked at now. True: readers pass over it. */
  lookAt(position: number): boolean {
    const { repair, dividedPosition } = this.#options
    if (this.#isOver || position < this.#position || position >= dividedPosition) return false
    const before = repair.dropped
    repair.lookOnce(position, dividedPosition)
    return repair.dropped > before
  }

  #say(): void {
    const { firstPosition, dividedPosition, log } = this.#options
    this.#sayAt = this.#position + SAY_EVERY_BYTES
    const share = (this.#position - firstPosition) / (dividedPosition - firstPosition)
    log(`the old commit log is looked through up to ${Math.floor(share * 100)} %`)
  }

  #finish(): void {
    const { repair, log } = this.#options
    this.#isOver = true
    onDisk(`removal of ${this.#path}`, () => rmSync(this.#path, { force: true }))
    log(
      `the old commit log is looked through: ${repair.dropped} units of damaged messages are ` +
        `passed over, ${repair.repairs} were wrong and are repaired`,
    )
  }
}
