/**
 * Decides at start from which position the log is dispatched, and brings queues and index to what
 * they were there. Owns the rule: what cannot be proved complete is thrown away and built anew from
 * the log, which is the only truth.
 */
import { LedgerError } from '@ringledger/base'
import type { Checkpoint, DispatchMark } from './checkpoint-file.ts'
import type { ConsumeQueues } from './consume-queues.ts'
import { type FoundStore, isLastUnitRight } from './found-store.ts'
import type { KeyIndex } from './key-index.ts'
import type { PlainLog } from './plain-log.ts'

export interface RecoveryInput {
  queues: ConsumeQueues
  index: KeyIndex
  /** What the last run left; undefined: never ran here, or damaged. */
  checkpoint: Checkpoint | undefined
  bootId: string
  logFirstPosition: number
  logEndPosition: number
  log: (line: string) => void
  /** The log from before this broker; `find`: what another broker left beside it. */
  plain?: { readonly log: PlainLog; find(): FoundStore | undefined }
}

/** Queues and index hold everything below `mark.position` and nothing from there on. */
export interface RecoveryResult {
  mark: DispatchMark
  rebuilt: boolean
  /** They are another broker's, gone on with; the log below was not read. */
  unread: boolean
}

/** Position 0 of an empty store. */
function emptyMark(position: number): DispatchMark {
  return {
    position,
    unitTotal: 0,
    queueTotal: 0,
    index: { fileName: '', indexCount: 0 },
    stateEnd: 0,
  }
}

export function recoverStore(input: RecoveryInput): RecoveryResult {
  const { queues, index, logFirstPosition, log } = input
  queues.logMinPosition = logFirstPosition
  try {
    const mark = takeOver(input)
    return { mark, rebuilt: false, unread: input.checkpoint === undefined }
  } catch (error) {
    if (!(error instanceof LedgerError) || error.code !== 'CORRUPT') throw error
    if (input.logEndPosition > logFirstPosition) {
      log(`consume queues and key index are built anew from the log: ${error.message}`)
    }
  }
  queues.clear()
  index.clear()
  return { mark: emptyMark(logFirstPosition), rebuilt: true, unread: false }
}

function takeOver(input: RecoveryInput): DispatchMark {
  const { queues, index, checkpoint, bootId, logFirstPosition, logEndPosition } = input
  if (checkpoint === undefined) return takeOverFound(input)
  // Not so before our first checkpoint: a store of RocketMQ's may begin anywhere.
  if (checkpoint.synced.position < logFirstPosition) {
    throw new LedgerError('CORRUPT', 'the log was begun anew behind them')
  }
  const sameBoot = checkpoint.bootId === bootId
  const mark = sameBoot ? checkpoint.handedOver : checkpoint.synced
  // The log may have lost a tail that was committed elsewhere: it comes again, with the same bytes.
  const position = Math.min(mark.position, logEndPosition)
  queues.recover(position, sameBoot)
  const { units, queues: queueTotal } = queues.totals
  const isComplete = units === mark.unitTotal && queueTotal === mark.queueTotal
  if (position === mark.position && !isComplete) {
    const expected = `${mark.unitTotal} units in ${mark.queueTotal} queues`
    throw new LedgerError(
      'CORRUPT',
      `there are ${units} units in ${queueTotal} queues, the checkpoint says ${expected}`,
    )
  }
  index.recover(mark.index, sameBoot)
  return { ...mark, position: Math.max(position, logFirstPosition) }
}

function takeOverFound({ queues, index, plain }: RecoveryInput): DispatchMark {
  const found = plain?.find()
  if (plain === undefined || found === undefined) {
    throw new LedgerError('CORRUPT', 'there is no checkpoint of an earlier run')
  }
  queues.recover(found.position, false, found.queueEnds)
  index.recover(found.index, false)
  queues.forEachQueue((queue) => {
    if (isLastUnitRight(queue, plain.log)) return
    const { topic, queueId, maxOffset } = queue
    throw new LedgerError(
      'CORRUPT',
      `the unit of offset ${maxOffset - 1} in ${topic}/${queueId} is that of another message`,
    )
  })
  const { units: unitTotal, queues: queueTotal } = queues.totals
  return { position: found.position, unitTotal, queueTotal, index: found.index, stateEnd: 0 }
}
