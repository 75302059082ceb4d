/** What every answer to a send carries, errors included (rocketmq-remoting.md §3.2). */
import { offsetMessageIdOfHost } from '@ringledger/protocol'
import type { BrokerContext } from '../context.ts'
import type { Answer } from '../request.ts'

export function sendAnswer(context: BrokerContext, answer: Answer): Answer {
  const { regionId, traceOn } = context.settings
  return {
    ...answer,
    ext: { ...answer.ext, MSG_REGION: regionId, TRACE_ON: String(traceOn) },
  }
}

export function sentMessageId(context: BrokerContext, physicalOffset: number): string {
  return offsetMessageIdOfHost(context.storeHost, physicalOffset)
}
