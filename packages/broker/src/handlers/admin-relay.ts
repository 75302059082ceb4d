/**
 * Questions of administrators that only a client can answer: its running info (307), and consuming
 * one message at once (309); rocketmq-remoting.md §6. The client's answer goes back as it came.
 */
import {
  decodeMessage,
  parseOffsetMessageId,
  RequestCode,
  ResponseCode,
  RocketMqVersion,
  requireExt,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import type { Member } from '../groups.ts'
import { type Answer, type BrokerRequest, RequestError } from '../request.ts'
import { readStoredMessage } from './read-message.ts'

const CALL_TIMEOUT_MS = 10_000
const OLDEST_VERSION: number = RocketMqVersion.V3_1_8_SNAPSHOT

function onlineMember(group: string, clientId: string, context: BrokerContext): Member {
  for (const member of context.groups.get(group)?.members.values() ?? []) {
    if (member.clientId !== clientId) continue
    if (member.version >= OLDEST_VERSION) return member
    throw new RequestError(
      ResponseCode.SYSTEM_ERROR,
      `The Consumer <${clientId}> Version <${member.version}> too low to finish, please upgrade it to V3_1_8_SNAPSHOT`,
    )
  }
  throw new RequestError(
    ResponseCode.SYSTEM_ERROR,
    `The Consumer <${group}> <${clientId}> not online`,
  )
}

function relay(
  request: BrokerRequest,
  context: BrokerContext,
  ext: Readonly<Record<string, string>>,
  body?: Buffer,
): Answer | undefined {
  const group = requireExt(ext, 'consumerGroup')
  const clientId = requireExt(ext, 'clientId')
  const { connectionId } = onlineMember(group, clientId, context)
  const { code, ticket } = request
  const call = { code, ext, timeoutMs: CALL_TIMEOUT_MS, ...(body === undefined ? {} : { body }) }
  const isSent = context.callClient(connectionId, call, (answer) => {
    context.answer(
      ticket,
      answer === undefined
        ? {
            code: ResponseCode.CONSUME_MSG_TIMEOUT,
            remark: `consumer <${group}> <${clientId}> Timeout: no answer within ${CALL_TIMEOUT_MS} ms`,
          }
        : {
            code: answer.code,
            ext: answer.ext,
            body: answer.body,
            ...(answer.remark === undefined ? {} : { remark: answer.remark }),
          },
    )
  })
  if (isSent) return undefined
  throw new RequestError(ResponseCode.SYSTEM_BUSY, 'too many calls to clients are under way')
}

export const handleRunningInfo: Handler = (request, context) => relay(request, context, request.ext)

/** The message goes along, with what the consumer cannot know of the topic and the group. */
export const handleConsumeDirectly: Handler = (request, context) => {
  const { ext } = request
  const msgId = requireExt(ext, 'msgId')
  const message = storedMessage(msgId, context)
  const topic = ext.topic ?? decodeMessage(message, 0).topic
  const group = context.subscriptionGroups.get(requireExt(ext, 'consumerGroup'))
  return relay(
    request,
    context,
    {
      ...ext,
      brokerName: context.settings.brokerName,
      topicSysFlag: String(context.topics.get(topic)?.topicSysFlag ?? 0),
      groupSysFlag: String(group?.groupSysFlag ?? 0),
    },
    message,
  )
}

function storedMessage(msgId: string, context: BrokerContext): Buffer {
  const message = readStoredMessage(context, parseOffsetMessageId(msgId).physicalOffset)
  if (message !== undefined) return message
  throw new RequestError(ResponseCode.SYSTEM_ERROR, `there is no message with the id ${msgId}`)
}

export const ADMIN_RELAY_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.GET_CONSUMER_RUNNING_INFO, handleRunningInfo],
  [RequestCode.CONSUME_MESSAGE_DIRECTLY, handleConsumeDirectly],
])
