/** queryMsgById, queryMsgByKey and queryMsgByUniqueKey. */

import { shorten } from '@ringledger/base'
import {
  PropertyName,
  parseOffsetMessageId,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@ringledger/protocol'
import type { Admin } from '../admin.ts'
import { type AdminCommand, count, OPTION, oneOf } from '../command.ts'
import { AdminError, UsageError } from '../errors.ts'
import { bodyText, type MessageFacts, messageFields, readMessages } from '../messages.ts'
import { answeringAddress, findRoute, routeOf } from '../queries.ts'
import { formatTime } from '../time.ts'
import { columns, type Section } from '../view.ts'

const UNIQUE_KEY_LIMIT = 32
const KEY_LIMIT = 64
/** Java's Long.MAX_VALUE, which means "no end". */
const NO_END = 9_223_372_036_854_775_807n
const SHOWN_BODY_LENGTH = 60

const CLUSTER = { flags: '-c, --cluster <cluster>', description: 'accepted; the route decides' }

export const queryMsgById: AdminCommand<{ msgId: string; topic: string }> = {
  name: 'queryMsgById',
  summary: 'Show the message with an offset message id (as sendMessage and sends answer it).',
  options: [
    { flags: '-i, --msgId <id>', description: 'offset message id', required: true },
    OPTION.topic,
    CLUSTER,
  ],
  example: 'queryMsgById -t TopicTest -i 7F000001000078BF0000000000000000',
  async run(admin, { msgId, topic }) {
    const message = await messageById(admin, msgId, topic)
    return { json: message, sections: [{ kind: 'fields', fields: messageFields(message) }] }
  },
}

async function messageById(admin: Admin, msgId: string, topic: string): Promise<MessageFacts> {
  const { address, port, physicalOffset } = offsetIdParts(msgId)
  const home = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  let lastError: unknown
  for (const candidate of await placesOf(admin, home, topic)) {
    try {
      const question = {
        code: RequestCode.VIEW_MESSAGE_BY_ID,
        ext: { topic, offset: physicalOffset },
      }
      const answer = await admin.askBroker(candidate, question)
      const [message] = readMessages(answer.body)
      if (message !== undefined) return message
    } catch (error) {
      if (!(error instanceof AdminError)) throw error
      lastError ??= error
    }
  }
  throw lastError ?? new AdminError(`no message has the id ${msgId}`)
}

function offsetIdParts(msgId: string): ReturnType<typeof parseOffsetMessageId> {
  try {
    return parseOffsetMessageId(msgId)
  } catch {
    const hint = 'ids that clients made are found by queryMsgByUniqueKey'
    throw new UsageError(`'${msgId}' is no offset message id (32 or 56 hex digits); ${hint}`)
  }
}

/** The node that the id names, then its siblings: every node of a group has the same offsets. */
async function placesOf(admin: Admin, home: string, topic: string): Promise<string[]> {
  const route = await findRoute(admin, topic)
  const siblings = route?.brokers.find((broker) => [...broker.addresses.values()].includes(home))
  const only = route?.brokers.length === 1 ? route.brokers[0] : undefined
  return [...new Set([home, ...((siblings ?? only)?.addresses.values() ?? [])])]
}

interface KeyOptions {
  readonly topic: string
  readonly msgKey: string
  readonly beginTimestamp?: number
  readonly endTimestamp?: number
  readonly maxNum?: number
  readonly keyType?: string
  readonly lastKey?: string
}

export const queryMsgByKey: AdminCommand<KeyOptions> = {
  name: 'queryMsgByKey',
  summary: 'List the newest messages of a topic that carry a key.',
  options: [
    OPTION.topic,
    { flags: '-k, --msgKey <key>', description: 'the key', required: true },
    { flags: '-b, --beginTimestamp <ms>', description: 'stored from then on', parse: count(0) },
    { flags: '-e, --endTimestamp <ms>', description: 'stored until then', parse: count(0) },
    { flags: '-m, --maxNum <count>', description: `at most (${KEY_LIMIT})`, parse: count(1) },
    {
      flags: '-p, --keyType <type>',
      description: 'K keys, T tags (K)',
      parse: oneOf('K', 'T'),
    },
    { flags: '-l, --lastKey <key>', description: 'where the last page ended' },
    CLUSTER,
  ],
  example: 'queryMsgByKey -t TopicTest -k order-17',
  async run(admin, options) {
    const keyType = options.keyType ?? 'K'
    const messages = await query(admin, options.topic, {
      key: options.msgKey,
      maxNum: options.maxNum ?? KEY_LIMIT,
      beginTimestamp: options.beginTimestamp ?? 0,
      endTimestamp: options.endTimestamp ?? NO_END,
      _UNIQUE_KEY_QUERY: false,
      indexType: keyType,
      lastKey: options.lastKey,
    })
    const found = messages.filter((message) => {
      if (keyType === 'T') return message.tags === options.msgKey
      return message.keys?.split(' ').includes(options.msgKey)
    })
    const empty = `no message of ${options.topic} has the key ${options.msgKey}`
    return { json: found, sections: [messageTable(found, empty)] }
  },
}

interface UniqueKeyOptions {
  readonly topic: string
  readonly msgId: string
  readonly showAll?: boolean
  readonly startTime?: number
  readonly endTime?: number
}

export const queryMsgByUniqueKey: AdminCommand<UniqueKeyOptions> = {
  name: 'queryMsgByUniqueKey',
  summary: 'Show the message with the id that its producer gave it.',
  options: [
    { flags: '-i, --msgId <id>', description: 'unique message id', required: true },
    OPTION.topic,
    { flags: '-a, --showAll', description: `all with this id, at most ${UNIQUE_KEY_LIMIT}` },
    { flags: '-s, --startTime <ms>', description: 'stored from then on', parse: count(0) },
    { flags: '-e, --endTime <ms>', description: 'stored until then', parse: count(0) },
    CLUSTER,
  ],
  example: 'queryMsgByUniqueKey -t TopicTest -i 7F0000015F7C18B4AAC2000000000000',
  async run(admin, { topic, msgId, showAll, startTime, endTime }) {
    const messages = await query(admin, topic, {
      key: msgId,
      maxNum: UNIQUE_KEY_LIMIT,
      beginTimestamp: startTime ?? 0,
      endTimestamp: endTime ?? NO_END,
      _UNIQUE_KEY_QUERY: true,
      indexType: 'U',
    })
    const found = messages.filter(({ properties }) => properties[PropertyName.UNIQ_KEY] === msgId)
    const shown = showAll === true ? found : found.slice(0, 1)
    if (shown.length === 0) {
      const hint = 'an id of 32 digits may be an offset id: try queryMsgById'
      throw new AdminError(`no message of ${topic} has the unique id ${msgId}`, hint)
    }
    return {
      json: shown,
      sections: shown.map((message) => ({ kind: 'fields', fields: messageFields(message) })),
    }
  },
}

type QueryFields = Record<string, string | number | bigint | boolean | undefined>

/** Code 12 on every broker of the topic. */
async function query(admin: Admin, topic: string, fields: QueryFields): Promise<MessageFacts[]> {
  const { brokers } = await routeOf(admin, topic)
  const messages: MessageFacts[] = []
  for (const broker of brokers) {
    const address = answeringAddress(broker)
    if (address === undefined) continue
    const answer: RemotingCommand = await admin.askBroker(address, {
      code: RequestCode.QUERY_MESSAGE,
      ext: { topic, ...fields },
      accept: [ResponseCode.QUERY_NOT_FOUND],
    })
    if (answer.code === ResponseCode.SUCCESS) messages.push(...readMessages(answer.body))
  }
  return messages
}

/** Messages one a line. */
export function messageTable(messages: readonly MessageFacts[], empty: string): Section {
  return {
    kind: 'table',
    columns: columns('Message ID', '>Queue', '>Offset', 'Tags', 'Keys', 'Stored', 'Body'),
    rows: messages.map((message) => [
      message.messageId,
      message.queueId,
      message.queueOffset,
      message.tags,
      message.keys,
      formatTime(message.storeTimestamp),
      shorten(bodyText(message), SHOWN_BODY_LENGTH),
    ]),
    empty,
  }
}
