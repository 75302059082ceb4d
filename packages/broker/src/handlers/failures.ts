/** How errors become answers, in one place for all handlers. */
import { LedgerError } from '@ringledger/base'
import { ResponseCode } from '@ringledger/protocol'
import type { BrokerContext } from '../context.ts'
import { type Answer, RequestError } from '../request.ts'
import type { TopicConfig } from '../state/configs.ts'
import type { ChangeFailure } from '../state-changes.ts'

/** An answer for anything that a handler threw; what nobody meant to throw is logged. */
export function failureAnswer(context: Pick<BrokerContext, 'log'>, error: unknown): Answer {
  if (error instanceof RequestError) return { code: error.code, remark: error.message }
  if (error instanceof LedgerError && error.code === 'BAD_REQUEST') {
    return { code: ResponseCode.SYSTEM_ERROR, remark: error.message }
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  context.log(`a request failed: ${error instanceof Error ? (error.stack ?? text) : text}`)
  return { code: ResponseCode.SYSTEM_ERROR, remark: text }
}

/** A state change that was not made, as the error for the client who asked for it. */
export function changeError(failure: NonNullable<ChangeFailure>): RequestError {
  switch (failure.code) {
    case 'BAD_REQUEST':
      return new RequestError(ResponseCode.INVALID_PARAMETER, failure.message)
    case 'BUSY':
      return new RequestError(
        ResponseCode.SYSTEM_BUSY,
        '[PCBUSY_CLEAN_QUEUE]broker busy, start flow control for a while',
      )
    default:
      return new RequestError(
        ResponseCode.SERVICE_NOT_AVAILABLE,
        `service not available now, ${failure.message}`,
      )
  }
}

/** A topic's configuration as RocketMQ shows it in remarks. */
export function topicText(config: TopicConfig): string {
  const perm = `${config.perm & 4 ? 'R' : '-'}${config.perm & 2 ? 'W' : '-'}${config.perm & 1 ? 'X' : '-'}`
  const attributes = Object.entries(config.attributes).map(([name, value]) => `${name}=${value}`)
  return (
    `TopicConfig [topicName=${config.topicName}, readQueueNums=${config.readQueueNums}, ` +
    `writeQueueNums=${config.writeQueueNums}, perm=${perm}, topicFilterType=${config.topicFilterType}, ` +
    `topicSysFlag=${config.topicSysFlag}, order=${config.order}, attributes={${attributes.join(', ')}}]`
  )
}
