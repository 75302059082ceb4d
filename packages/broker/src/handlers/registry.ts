/**
 * Which handler answers which request code. Admin handlers are added here by their files' maps; a
 * code that is in none of them is answered with REQUEST_CODE_NOT_SUPPORTED.
 */
import { RequestCode, ResponseCode } from '@ringledger/protocol'
import type { Handler } from '../context.ts'
import { RequestError } from '../request.ts'
import { ADMIN_HANDLERS } from './admin-handlers.ts'
import { CONSUMER_OFFSET_HANDLERS } from './consumer-offset.ts'
import { CLIENT_HANDLERS } from './heartbeat.ts'
import { handleQueryMessage, handleViewMessage } from './message-query.ts'
import { handlePull } from './pull.ts'
import { QUEUE_OFFSET_HANDLERS } from './queue-offset.ts'
import { REBALANCE_HANDLERS } from './rebalance.ts'
import { handleSend } from './send.ts'
import { handleSendBack } from './send-back.ts'

const handleRecall: Handler = () => {
  throw new RequestError(ResponseCode.NO_PERMISSION, 'recall failed, operation is forbidden')
}

const MESSAGE_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.SEND_MESSAGE, handleSend],
  [RequestCode.SEND_MESSAGE_V2, handleSend],
  [RequestCode.SEND_BATCH_MESSAGE, handleSend],
  [RequestCode.CONSUMER_SEND_MSG_BACK, handleSendBack],
  [RequestCode.PULL_MESSAGE, handlePull],
  [RequestCode.LITE_PULL_MESSAGE, handlePull],
  [RequestCode.QUERY_MESSAGE, handleQueryMessage],
  [RequestCode.VIEW_MESSAGE_BY_ID, handleViewMessage],
  [RequestCode.RECALL_MESSAGE, handleRecall],
])

const HANDLERS: ReadonlyMap<number, Handler> = new Map([
  ...ADMIN_HANDLERS,
  ...MESSAGE_HANDLERS,
  ...CLIENT_HANDLERS,
  ...CONSUMER_OFFSET_HANDLERS,
  ...QUEUE_OFFSET_HANDLERS,
  ...REBALANCE_HANDLERS,
])

export function handlerOf(code: number): Handler | undefined {
  return HANDLERS.get(code)
}
