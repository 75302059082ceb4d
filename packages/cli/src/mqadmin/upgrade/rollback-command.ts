/** `mqadmin upgrade rollback`: from a member's store to a plain one that Apache opens. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { type BuilderMark, PlainStoreBuilder, StoppedQueues } from '@ringledger/broker/internal'
import {
  CQ_UNIT_BYTES,
  KEY_INDEX_DEFAULT_ENTRIES,
  KEY_INDEX_DEFAULT_SLOTS,
  keyIndexFileBytes,
  SystemTopic,
} from '@ringledger/protocol'
import {
  type BuilderRequest,
  RollbackRefused,
  type RollbackReport,
  rollbackStore,
  type StoreBuilder,
} from '@ringledger/upgrade'
import type { Command } from 'commander'
import { parseProperties } from '../../config/properties-file.ts'
import { AdminError } from '../errors.ts'
import { type AdminIo, show, type TextSink } from '../view.ts'
import { UpgradeExit } from './compare-view.ts'
import { asAdminError, sayRefused } from './failures.ts'
import { Progress } from './progress.ts'
import { rollbackView } from './rollback-view.ts'

interface RollbackArguments {
  readonly to: string
  readonly commitlog?: string
  readonly dledgerCommitlog?: string
  readonly config?: string
  readonly dropTimers?: boolean
  readonly json?: boolean
}

/** What a plain store's files look like; Apache refuses files of other lengths. */
interface FileSizes {
  readonly consumeQueueFileBytes: number
  readonly indexSlots: number
  readonly indexEntries: number
}

const DEFAULT_QUEUE_FILE_BYTES = 6_000_000
const MAX_REMARKS = 20

export function addRollback(upgrade: Command, io: AdminIo, exit: (code: number) => void): void {
  upgrade
    .command('rollback')
    .argument('<store>', 'storePathRootDir of a stopped member')
    .requiredOption('--to <directory>', 'where the plain store comes to be; must not be there yet')
    .option('--commitlog <directory>', 'storePathCommitLog, when it is not below the store')
    .option('--dledger-commitlog <directory>', 'storePathDLedgerCommitLog, likewise')
    .option('--config <broker.conf>', 'take file sizes from there, not from the files')
    .option('--drop-timers', 'go on although timer messages are stored: none is delivered any more')
    .option('--json', 'print one JSON document')
    .description('Write a plain store with every message, for brokers without DLedger.')
    .addHelpText('after', HELP)
    .action(async (store: string, options: RollbackArguments) => {
      const report = await run(store, options, io, exit)
      if (report !== undefined) show(rollbackView(report), io.stdout, options.json === true)
    })
}

const HELP = `
The store is only read. What is written stands in <directory>.part until it is complete; a run that
was killed is taken up by the same command.

Exit code:
  0  the plain store is there
  3  the store must not be rolled back as it is; the text says why
  1  failed, 64 not understood

Example:
  mqadmin upgrade rollback /data/store --to /data/store-plain`

async function run(
  store: string,
  options: RollbackArguments,
  io: AdminIo,
  exit: (code: number) => void,
): Promise<RollbackReport | undefined> {
  const progress = new Progress(store, io.stderr)
  const log = firstLines(io.stderr)
  try {
    const sizes = fileSizes(store, options.config)
    refuseTimers(store, options)
    return await rollbackStore({
      root: store,
      target: options.to,
      ...(options.commitlog === undefined ? {} : { commitLog: options.commitlog }),
      ...(options.dledgerCommitlog === undefined ? {} : { raftLog: options.dledgerCommitlog }),
      openBuilder: (request) => openBuilder(request, sizes, options, log),
      onProgress: (done, total) => progress.tell(done, total),
      onNote: log,
    })
  } catch (error) {
    if (!(error instanceof RollbackRefused)) throw asAdminError(error)
    sayRefused(error, options.json === true, io)
    exit(UpgradeExit.DIFFERENT)
    return undefined
  } finally {
    progress.end()
  }
}

/** What is odd about one queue is often odd about all: the first lines tell enough. */
function firstLines(sink: TextSink): (line: string) => void {
  let lines = 0
  return (line) => {
    if (++lines <= MAX_REMARKS) sink.write(`${line}\n`)
    else if (lines === MAX_REMARKS + 1) sink.write('further remarks are not shown\n')
  }
}

function openBuilder(
  { resume, ...request }: BuilderRequest,
  sizes: FileSizes,
  options: RollbackArguments,
  log: (line: string) => void,
): StoreBuilder {
  return new PlainStoreBuilder({
    ...request,
    ...sizes,
    log,
    ...(options.dropTimers === true ? { dropTimers: true } : {}),
    // It was made by `save` of the same class, in a run before this one.
    ...(resume === undefined
      ? {}
      : { resume: { endOffset: resume.endOffset, mark: resume.mark as BuilderMark } }),
  })
}

/** From the configuration if given, else as the store's own files are. */
function fileSizes(store: string, config: string | undefined): FileSizes {
  if (config !== undefined) return sizesOfConfig(config)
  const queues = new StoppedQueues(join(store, 'consumequeue'))
  const index = join(store, 'index')
  const names = existsSync(index) ? readdirSync(index).filter((name) => /^\d{17}$/.test(name)) : []
  const indexBytes = names.map((name) => statSync(join(index, name)).size)
  const usual = keyIndexFileBytes(KEY_INDEX_DEFAULT_SLOTS, KEY_INDEX_DEFAULT_ENTRIES)
  if (indexBytes.some((bytes) => bytes !== usual)) {
    throw new AdminError(
      `${index} holds files of ${indexBytes[0]} bytes: maxHashSlotNum or maxIndexNum is not the usual one`,
      'give the configuration that says which: --config broker.conf',
    )
  }
  return {
    consumeQueueFileBytes: queues.fileBytes ?? DEFAULT_QUEUE_FILE_BYTES,
    indexSlots: KEY_INDEX_DEFAULT_SLOTS,
    indexEntries: KEY_INDEX_DEFAULT_ENTRIES,
  }
}

function sizesOfConfig(path: string): FileSizes {
  const { entries } = parseProperties(readFileSync(path))
  const value = (key: string, usual: number): number => {
    const text = entries.findLast((entry) => entry.key === key)?.value
    if (text === undefined) return usual
    if (/^[1-9]\d{0,9}$/.test(text)) return Number(text)
    throw new LedgerError('BAD_CONFIG', `${path}: ${key}=${text} is no whole number`)
  }
  const queueBytes = value('mappedFileSizeConsumeQueue', DEFAULT_QUEUE_FILE_BYTES)
  return {
    consumeQueueFileBytes: Math.ceil(queueBytes / CQ_UNIT_BYTES) * CQ_UNIT_BYTES,
    indexSlots: value('maxHashSlotNum', KEY_INDEX_DEFAULT_SLOTS),
    indexEntries: value('maxIndexNum', KEY_INDEX_DEFAULT_ENTRIES),
  }
}

/** The wheel names messages by their offset, and would deliver at once what it delivered before. */
function refuseTimers(store: string, { dropTimers }: RollbackArguments): void {
  if (dropTimers === true) return
  const queues = new StoppedQueues(join(store, 'consumequeue'))
  for (const { topic, maxOffset } of queues.ends(Number.MAX_SAFE_INTEGER)) {
    if (topic !== SystemTopic.TIMER) continue
    throw new RollbackRefused(
      `${maxOffset} timer messages (${SystemTopic.TIMER}) are stored, which a rollback cannot carry over`,
      'wait until they are delivered, then add --drop-timers: they stay in the log, none is delivered any more',
    )
  }
}
