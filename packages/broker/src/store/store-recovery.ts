/**
 * Decides at start from which position the log is dispatched, and brings queues and index to what
 * they were there. Owns the rule: what cannot be proved complete is thrown away and built anew from
 * the log, which is the only truth.
 */
import { LedgerError } from '@ringledger/base'
import type { Checkpoint, DispatchMark } from './checkpoint-file.ts'
import type { ConsumeQueues } from './consume-queues.ts'
import type { KeyIndex } from './key-index.ts'

export interface RecoveryInput {
  queues: ConsumeQueues
  index: KeyIndex
  /** What the last run left; undefined: never ran here, or damaged. */
  checkpoint: Checkpoint | undefined
  bootId: string
  logFirstPosition: number
  logEndPosition: number
  log: (line: string) => void
}

/** Queues and index hold everything below `mark.position` and nothing from there on. */
export interface RecoveryResult {
  mark: DispatchMark
  rebuilt: boolean
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
    return { mark, rebuilt: false }
  } catch (error) {
    if (!(error instanceof LedgerError) || error.code !== 'CORRUPT') throw error
    if (input.logEndPosition > logFirstPosition) {
      log(`consume queues and key index are built anew from the log: ${error.message}`)
    }
  }
  queues.clear()
  index.clear()
  return { mark: emptyMark(logFirstPosition), rebuilt: true }
}

function takeOver(input: RecoveryInput): DispatchMark {
  const { queues, index, checkpoint, bootId, logFirstPosition, logEndPosition } = input
  if (checkpoint === undefined) {
    throw new LedgerError('CORRUPT', 'there is no checkpoint of an earlier run')
  }
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
