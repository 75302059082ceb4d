/**
 * From a member's store to a plain one that Apache opens: every message once, without entry
 * headers, at a new physical offset, with its queue offset kept. Owns the invariants: the source is
 * only read; what stands at the target's name is complete; a run that was killed is taken up where
 * it saved last, and comes to the same end.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LedgerError } from '@ringledger/base'
import { syncDirectory } from '@ringledger/base/internal'
import { refuseSmallDisk } from '../preconditions.ts'
import { RollbackRefused } from '../refused.ts'
import type { LogFile } from '../store-files.ts'
import { PlainWalk, type RaftPlace, RaftWalk, WalkedMessage } from './log-walks.ts'
import { LogWindow } from './log-window.ts'
import { MessageMover } from './message-mover.ts'
import { PlainLogWriter } from './plain-log-writer.ts'
import { type Progress, ProgressFile } from './rollback-progress.ts'
import { findSource, type RollbackSource } from './rollback-source.ts'
import type { RollbackOptions, RollbackReport, StoreBuilder } from './rollback-types.ts'

const SAVE_EVERY_BYTES = 1024 ** 3
const TELL_EVERY_BYTES = 16 * 1024 ** 2
/** Queues, index and tables beside the log, as a part of it. */
const ROOM_BESIDE = 0.1

/**
 * @throws RollbackRefused when the store must not be rolled back as it is, LedgerError BAD_REQUEST
 *   for wrong directories, DISK_FULL or DISK_FAILED
 */
export async function rollbackStore(options: RollbackOptions): Promise<RollbackReport> {
  const source = findSource(options)
  const target = resolve(options.target)
  refuseTarget(target, source)
  const part = `${target}.part`
  mkdirSync(part, { recursive: true })
  const file = new ProgressFile(part, source)
  const found = file.read()
  if (found.why !== undefined) {
    options.onNote?.(`${part} is begun anew: ${found.why}`)
    emptyDirectory(part)
  }
  const report =
    found.progress?.report ??
    (await new Rollback(options, source, part, file, found.progress).run())
  if (existsSync(target)) rmSync(target, { recursive: true })
  renameSync(part, target)
  syncDirectory(dirname(target))
  return report
}

function refuseTarget(target: string, source: RollbackSource): void {
  const root = resolve(source.root)
  if (target === root || target.startsWith(`${root}/`) || root.startsWith(`${target}/`)) {
    throw new LedgerError('BAD_REQUEST', `${target} and ${root} lie within each other`)
  }
  const parent = statSync(dirname(target), { throwIfNoEntry: false })
  if (parent === undefined) {
    throw new LedgerError('BAD_REQUEST', `there is no directory ${dirname(target)}`)
  }
  const there = statSync(target, { throwIfNoEntry: false })
  if (there === undefined) return
  if (!there.isDirectory() || readdirSync(target).length > 0) {
    throw new LedgerError('BAD_REQUEST', `${target} is not empty: give the name of a new directory`)
  }
  if (there.dev !== parent.dev) {
    throw new LedgerError(
      'BAD_REQUEST',
      `${target} is a mount point, which cannot be renamed: give the name of a new directory in it`,
    )
  }
}

function emptyDirectory(directory: string): void {
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true })
}

class Rollback {
  readonly #options: RollbackOptions
  readonly #source: RollbackSource
  readonly #part: string
  readonly #file: ProgressFile
  readonly #window: LogWindow
  readonly #plain: PlainWalk
  readonly #raft: RaftWalk
  readonly #writer: PlainLogWriter
  readonly #builder: StoreBuilder
  readonly #mover: MessageMover
  readonly #saveEveryBytes: number
  #savedAt: number

  constructor(
    options: RollbackOptions,
    source: RollbackSource,
    part: string,
    file: ProgressFile,
    progress: Progress | undefined,
  ) {
    this.#options = options
    this.#source = source
    this.#part = part
    this.#file = file
    this.#saveEveryBytes = options.saveEveryBytes ?? SAVE_EVERY_BYTES
    const files: LogFile[] = [...source.plain, ...source.raft]
    this.#window = new LogWindow(files, source.segmentBytes)
    const plainPosition = progress?.plainPosition ?? source.firstOffset
    this.#plain = new PlainWalk(source, this.#window, plainPosition)
    this.#raft = new RaftWalk(source, this.#window, progress?.raft ?? firstPlace(source))
    if (progress === undefined) emptyDirectory(part)
    const endOffset = progress?.endOffset ?? source.firstOffset
    this.#savedAt = this.#position
    if (progress !== undefined) this.#noteResumed()
    this.#refuseSmallDisk()
    this.#writer = new PlainLogWriter(join(part, 'commitlog'), source.segmentBytes, endOffset)
    this.#builder = options.openBuilder({
      rootDirectory: part,
      sourceDirectory: source.root,
      logFirstOffset: source.firstOffset,
      ...(progress === undefined ? {} : { resume: { mark: progress.mark, endOffset } }),
    })
    this.#mover = new MessageMover(
      source.divided,
      this.#window,
      this.#writer,
      this.#builder,
      progress?.tally,
    )
  }

  async run(): Promise<RollbackReport> {
    try {
      await this.#copy()
      return this.#finish()
    } catch (error) {
      this.#builder.abandon()
      throw error
    } finally {
      this.#writer.close()
      this.#window.close()
    }
  }

  async #copy(): Promise<void> {
    const message = new WalkedMessage()
    let toldAt = this.#position
    for (;;) {
      if (this.#plain.next(message)) this.#mover.copyPlain(message)
      else if (this.#raft.next(message)) this.#mover.moveEntry(message)
      else return
      const position = this.#position
      if (position - toldAt < TELL_EVERY_BYTES && position - this.#savedAt < this.#saveEveryBytes) {
        continue
      }
      toldAt = position
      this.#tell()
      if (position - this.#savedAt >= this.#saveEveryBytes) this.#save()
      await nextTurn()
    }
  }

  get #position(): number {
    const { divided } = this.#source
    return this.#plain.position < divided ? this.#plain.position : this.#raft.place.position
  }

  #tell(): void {
    const { firstOffset, totalBytes } = this.#source
    this.#options.onProgress?.(this.#position - firstOffset, totalBytes)
  }

  #save(report?: RollbackReport): void {
    this.#writer.save()
    const mark = this.#builder.save()
    this.#file.write({
      plainPosition: this.#plain.position,
      raft: this.#raft.place,
      endOffset: this.#writer.endOffset,
      tally: this.#mover.tally,
      mark,
      ...(report === undefined ? {} : { report }),
    })
    this.#savedAt = this.#position
  }

  #finish(): RollbackReport {
    this.#save()
    const { place } = this.#raft
    const built = this.#builder.finish(place.position)
    this.#builder.close()
    if (!this.#file.sourceIsUnchanged) {
      throw new RollbackRefused(
        `${this.#source.root} was written to meanwhile`,
        'stop its broker, then run this again',
      )
    }
    const { root, firstOffset, segmentBytes, committedIndex } = this.#source
    const report: RollbackReport = {
      source: resolve(root),
      target: resolve(this.#options.target),
      ...this.#mover.tally,
      firstOffset,
      endOffset: this.#writer.endOffset,
      segmentBytes,
      lastEntry: { index: place.index, term: place.term },
      uncommittedEntries: committedIndex < 0 ? 0 : Math.max(0, place.index - committedIndex),
      built,
    }
    this.#writer.finish()
    this.#file.write({
      plainPosition: this.#plain.position,
      raft: place,
      endOffset: report.endOffset,
      tally: this.#mover.tally,
      mark: null,
      report,
    })
    return report
  }

  #noteResumed(): void {
    const done = this.#position - this.#source.firstOffset
    this.#options.onNote?.(`an earlier run is taken up: ${done} bytes are done`)
  }

  #refuseSmallDisk(): void {
    const left = this.#source.totalBytes - (this.#position - this.#source.firstOffset)
    refuseSmallDisk(this.#part, Math.ceil(left * (1 + ROOM_BESIDE)))
  }
}

function firstPlace({ divided }: RollbackSource): RaftPlace {
  return { position: divided, index: -1, term: -1, sealed: false }
}
