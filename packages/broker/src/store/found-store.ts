/**
 * Queues and index that another broker left beside a plain log, at the first start on it: how far
 * both can be gone on with instead of building them anew from the whole log. Owns the rule that
 * what is not proven complete is not used.
 */
import { join } from 'node:path'
import {
  CQ_UNIT_BYTES,
  KEY_INDEX_DEFAULT_ENTRIES,
  KEY_INDEX_DEFAULT_SLOTS,
  MIN_MESSAGE_BYTES,
  msgPhysicalOffset,
  msgQueueId,
  msgQueueOffset,
  msgTopicRange,
  msgTotalSize,
} from '@ringledger/protocol'
import { APACHE_DELAY_LEVELS_MS, type BrokerStoreOptions } from './broker-store.ts'
import type { ConsumeQueue } from './consume-queue.ts'
import type { ConsumeQueues } from './consume-queues.ts'
import { EntryPlan } from './entry-plan.ts'
import { FoundIndex, type Unindexed } from './found-index.ts'
import { type FoundQueues, findQueues } from './found-queues.ts'
import type { IndexShape } from './index-writer.ts'
import type { IndexMark } from './key-index.ts'
import type { PlainLog } from './plain-log.ts'
import { PlainKind, PlainWindow } from './plain-window.ts'
import type { RecoveryInput } from './store-recovery.ts'

export interface FoundStore {
  /** Queues and index hold everything below. */
  readonly position: number
  readonly queueEnds: ReadonlyMap<string, number>
  readonly index: IndexMark
}

export interface FoundStoreOptions {
  /** storePathRootDir */
  readonly rootDirectory: string
  readonly plain: PlainLog
  readonly indexShape: IndexShape
  readonly queues: ConsumeQueues
  readonly delayLevelsMs: readonly number[]
  readonly log: (line: string) => void
}

const USE_FOUND_FROM_BYTES = 1024 * 1024 * 1024
/** Read through at most, for messages that no index file reaches over. */
const MAX_UNINDEXED_BYTES = 64 * 1024 * 1024
const SAY_EVERY_MS = 5000
const CHECKED_MESSAGE_BYTES = 64 * 1024

/** What recovery may use of another broker's; of a log shorter than an option says, nothing. */
export function plainPartOf(
  options: BrokerStoreOptions,
  queues: ConsumeQueues,
  log: (line: string) => void,
): Pick<RecoveryInput, 'plain'> {
  const { rootDirectory, files, delayLevelsMs = APACHE_DELAY_LEVELS_MS } = options
  const { plain } = files
  if (plain === undefined) return {}
  const {
    useFoundFromBytes = USE_FOUND_FROM_BYTES,
    indexSlots: slots = KEY_INDEX_DEFAULT_SLOTS,
    indexEntries: entries = KEY_INDEX_DEFAULT_ENTRIES,
  } = options
  const indexShape = { slots, entries }
  const isLong = plain.dividedPosition - plain.firstPosition >= useFoundFromBytes
  const found = { rootDirectory, plain, indexShape, queues, delayLevelsMs, log }
  return { plain: { log: plain, find: () => (isLong ? findStore(found) : undefined) } }
}

/** Undefined: nothing of them is proven. */
export function findStore(options: FoundStoreOptions): FoundStore | undefined {
  const { rootDirectory, plain, indexShape, log } = options
  const index = FoundIndex.open(join(rootDirectory, 'index'), indexShape)
  if (index === undefined) {
    log('the key index that was found cannot be gone on with')
    return undefined
  }
  if (!isKeyless(index.unindexed(plain.firstPosition), options)) {
    log('the key index that was found lacks messages')
    return undefined
  }
  const limit = Math.min(index.lastOffset, plain.dividedPosition)
  if (!isMessageAt(plain, limit)) {
    log(`the key index that was found ends at position ${limit}, where no message is`)
    return undefined
  }
  const startedMs = performance.now()
  const found = lookAtQueues(options, limit)
  const { position } = found
  if (position <= plain.firstPosition) {
    log('the consume queues that were found lack messages of the first file of the log')
    return undefined
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  log(
    `the consume queues and the key index that were found have every message below position ` +
      `${position}: ${found.unitBytes / CQ_UNIT_BYTES} units were looked at in ${seconds} s`,
  )
  return { position, queueEnds: found.ends, index: index.markBelow(position) }
}

function lookAtQueues(
  { rootDirectory, plain, log }: FoundStoreOptions,
  limit: number,
): FoundQueues {
  let saidMs = performance.now()
  return findQueues({
    directory: join(rootDirectory, 'consumequeue'),
    plain,
    limit,
    onProgress: (done, total) => {
      const nowMs = performance.now()
      if (nowMs - saidMs < SAY_EVERY_MS) return
      saidMs = nowMs
      log(`looks through the consume queues that were found: ${done} of ${total}`)
    },
  })
}

function isMessageAt(plain: PlainLog, position: number): boolean {
  if (position >= plain.dividedPosition) return true
  const window = new PlainWindow(plain)
  window.look(position)
  return window.kind === PlainKind.MESSAGE
}

function isKeyless(stretches: readonly Unindexed[], options: FoundStoreOptions): boolean {
  const { plain, queues, delayLevelsMs } = options
  const window = new PlainWindow(plain)
  const plan = new EntryPlan(queues, delayLevelsMs)
  let left = MAX_UNINDEXED_BYTES
  for (const { from, to, isBehind } of stretches) {
    for (let at = from; at < to; at += window.sizeBytes) {
      window.look(at)
      left -= window.sizeBytes
      if (left < 0) return false
      if (window.kind !== PlainKind.MESSAGE || (at === from && isBehind)) continue
      plan.lookPlain(window.bytes, window.view, window.offset, at, window.sizeBytes, false)
      if (plan.keyCount > 0) return false
    }
  }
  return true
}

/** Whether the newest unit of the queue stands for its message; a directory may have been moved. */
export function isLastUnitRight(queue: ConsumeQueue, plain: PlainLog): boolean {
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  const queueOffset = queue.maxOffset - 1
  if (!queue.unitAt(queueOffset, unit)) return true
  const { physicalOffset, sizeBytes } = unit
  if (physicalOffset < plain.firstPosition || physicalOffset >= plain.dividedPosition) return true
  const wanted = Math.min(sizeBytes, CHECKED_MESSAGE_BYTES)
  const bytes = Buffer.alloc(wanted)
  if (wanted < MIN_MESSAGE_BYTES) return false
  if (plain.read(physicalOffset, bytes, 0, wanted) < wanted) return false
  const isIts =
    msgTotalSize(bytes, 0) === sizeBytes &&
    msgPhysicalOffset(bytes, 0) === physicalOffset &&
    msgQueueId(bytes, 0) === queue.queueId &&
    msgQueueOffset(bytes, 0) === queueOffset
  if (!isIts || wanted < sizeBytes) return isIts
  const topic = msgTopicRange(bytes, 0)
  return topic.end <= wanted && bytes.toString('utf8', topic.start, topic.end) === queue.topic
}
