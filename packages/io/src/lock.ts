/**
 * One process per store. Node has no fcntl locks, so this is a file that appears by `link` (atomic,
 * never half written) and names its holder: process id, its start time, machine boot and process-id
 * namespace. Owns the invariant that a lock is taken over only from a holder that is provably gone;
 * a holder in another container cannot be looked up, so its silence counts.
 */
import {
  linkSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { LedgerError } from '@ringledger/base'
import type { StoreLock } from './disk.ts'

/** How often the holder must call `refresh`. */
export const LOCK_REFRESH_MS = 5_000
/** A holder that we cannot look up is gone after this silence; several refreshes may be late. */
const SILENCE_MS = 20_000

interface Holder {
  readonly processId: number
  /**
   * Field 22 of /proc/<pid>/stat, clock ticks since boot: tells a reused process id apart. Empty
   * where there is no /proc.
   */
  readonly startTime: string
  readonly bootId: string
  readonly namespace: string
}

/**
 * Takes the lock at `path`, whose directory exists. @throws LedgerError BAD_REQUEST naming a living
 * holder
 */
export function lockStore(path: string): StoreLock {
  const holder = describe(process.pid)
  const text = `${JSON.stringify(holder)}\n`
  const unique = `${path}.${process.pid}.${process.hrtime.bigint()}`
  writeFileSync(unique, text, { flag: 'wx' })
  try {
    if (!tryLink(unique, path)) {
      takeOver(path, holder, `${unique}.stale`)
      if (!tryLink(unique, path)) throw held(path, 'another process that took it just now')
    }
  } finally {
    unlinkSync(unique)
  }
  return new HeldLock(path, text)
}

class HeldLock implements StoreLock {
  readonly #path: string
  readonly #text: string

  constructor(path: string, text: string) {
    this.#path = path
    this.#text = text
  }

  refresh(): void {
    const found = readIfThere(this.#path)
    if (found !== undefined && isRotten(found, this.#text)) {
      writeFileSync(this.#path, this.#text)
    } else if (found !== this.#text) {
      throw new LedgerError(
        'DISK_FAILED',
        `the lock ${this.#path} was taken away: another process may have opened this store`,
      )
    }
    const now = new Date()
    utimesSync(this.#path, now, now)
  }

  release(): void {
    if (readIfThere(this.#path) === this.#text) unlinkSync(this.#path)
  }
}

/** One letter off, where another process would have its own number and start time. */
function isRotten(found: string, text: string): boolean {
  if (found === text || found.length !== text.length) return false
  let differing = 0
  for (let at = 0; at < text.length; at++) if (found[at] !== text[at]) differing++
  return differing === 1
}

/** Removes the lock of a dead holder; does nothing if it vanished meanwhile. */
function takeOver(path: string, self: Holder, aside: string): void {
  const found = readIfThere(path)
  if (found === undefined) return
  const refusal = refusalFor(path, found, self)
  if (refusal !== undefined) throw held(path, refusal)
  try {
    renameSync(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const moved = readIfThere(aside)
  // Between the look and the rename another process may have put its own lock there: give it back.
  if (moved !== found) tryLink(aside, path)
  unlinkSync(aside)
}

/** Who holds the lock, in words; undefined when the holder is gone. */
function refusalFor(path: string, text: string, self: Holder): string | undefined {
  const holder = parse(text)
  if (holder === undefined || holder.bootId !== self.bootId) return undefined
  if (holder.namespace !== self.namespace) {
    const silentMs = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0)
    if (silentMs >= SILENCE_MS) return undefined
    const waitSeconds = Math.ceil((SILENCE_MS - silentMs) / 1000)
    return `a process of another container (gone after ${waitSeconds} s more of silence)`
  }
  const startTime = startTimeOf(holder.processId)
  if (startTime === undefined || startTime !== holder.startTime) return undefined
  return `process ${holder.processId}, which is running`
}

function held(path: string, by: string): LedgerError {
  return new LedgerError(
    'BAD_REQUEST',
    `the store is in use: ${path} is held by ${by}. ` +
      'Two processes must never open one store; stop the other one first.',
  )
}

function describe(processId: number): Holder {
  return {
    processId,
    startTime: startTimeOf(processId) ?? '',
    bootId: readIfThere('/proc/sys/kernel/random/boot_id')?.trim() ?? '',
    namespace: namespaceOfSelf(),
  }
}

function namespaceOfSelf(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}

/** Undefined when no such process runs. */
function startTimeOf(processId: number): string | undefined {
  const stat = readIfThere(`/proc/${processId}/stat`)
  if (stat !== undefined) {
    // The name in parentheses may hold spaces; the state is the first field behind it, the start
    // time the 20th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const dead = fields[0] === 'Z' || fields[0] === 'X'
    return dead ? undefined : fields[19]
  }
  if (readIfThere('/proc/self/stat') !== undefined) return undefined
  try {
    process.kill(processId, 0)
    return ''
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? '' : undefined
  }
}

function parse(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder>
    const { processId, startTime, bootId, namespace } = value
    if (typeof processId !== 'number' || typeof startTime !== 'string') return undefined
    if (typeof bootId !== 'string' || typeof namespace !== 'string') return undefined
    return { processId, startTime, bootId, namespace }
  } catch {
    return undefined
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}
