/**
 * What the admin handlers share: who may change state, and the answer that comes when a change was
 * applied. Owns the rule that a change is answered only after it was applied on this node, or with
 * the reason why it was not.
 */
import { type MessageQueue, ResponseCode } from '@ringledger/protocol'
import type { BrokerContext } from '../context.ts'
import { type Answer, RequestError, SUCCESS, type Ticket } from '../request.ts'
import type { StateRecord } from '../state/records.ts'
import type { ChangeFailure } from '../state-changes.ts'
import type { QueueView } from '../store-view.ts'
import { changeError, failureAnswer } from './failures.ts'

/**
 * Throws RequestError unless this node leads and serves: NO_PERMISSION on a follower, as Apache's
 * slave answers, and SERVICE_NOT_AVAILABLE on a leader that is not ready.
 */
export function requireServing(context: BrokerContext): void {
  const { serving, role, leaderId } = context.role
  if (serving) return
  if (role === 'leader') {
    throw new RequestError(
      ResponseCode.SERVICE_NOT_AVAILABLE,
      'this broker has just become leader and is not ready yet, try again',
    )
  }
  throw new RequestError(ResponseCode.NO_PERMISSION, `not on a slave broker: ${whoLeads(leaderId)}`)
}

/** The place of a change, for remarks of followers. */
export function whoLeads(leaderId: string): string {
  return leaderId === ''
    ? 'no leader is known at the moment'
    : `the change is made at the leader of the group, ${leaderId}`
}

/**
 * Proposes the records in order; the ticket gets `answer` when all were applied, else the first
 * failure (the records before it may have taken effect).
 */
export function answerWhenApplied(
  ticket: Ticket,
  context: BrokerContext,
  records: readonly StateRecord[],
  answer: Answer = SUCCESS,
): Answer | undefined {
  let waiting = 0
  let failed: ChangeFailure
  const onDone = (outcome: ChangeFailure): void => {
    failed ??= outcome
    waiting -= 1
    if (waiting > 0) return
    context.answer(
      ticket,
      failed === undefined ? answer : failureAnswer(context, changeError(failed)),
    )
  }
  for (const record of records) {
    const refusal = context.changes.propose(record, onDone)
    if (refusal !== undefined) {
      failed = refusal
      break
    }
    waiting += 1
  }
  if (waiting > 0) return undefined
  if (failed !== undefined) throw changeError(failed)
  return answer
}

export function messageQueue(context: BrokerContext, topic: string, queueId: number): MessageQueue {
  return { brokerName: context.settings.brokerName, queueId, topic }
}

const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }

/** When the message at that offset was stored; -1 when it is not there. */
export function storeTimeAt(
  context: BrokerContext,
  queue: QueueView | undefined,
  queueOffset: number,
): number {
  if (queue === undefined || !queue.unitAt(queueOffset, unit)) return -1
  return context.store.reader.storeTimestampAt(unit.physicalOffset, unit.sizeBytes)
}
