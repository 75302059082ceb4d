/**
 * sendMessage and consumeMessage: one message in, some messages out; neither moves a consumer
 * group.
 */
import { randomInt } from 'node:crypto'
import {
  formatProperties,
  PropertyName,
  PullSysFlag,
  RequestCode,
  ResponseCode,
  SystemTopic,
  UniqueIds,
} from '@ringledger/protocol'
import type { Admin } from '../admin.ts'
import { type AdminCommand, count, OPTION, trueOrFalse } from '../command.ts'
import { AdminError, UsageError } from '../errors.ts'
import { type MessageFacts, readMessages } from '../messages.ts'
import { answeringAddress, leaderOf, routeOf, writableQueues } from '../queries.ts'
import { parseTime } from '../time.ts'
import { columns } from '../view.ts'
import { messageTable } from './message-query.ts'

interface SendOptions {
  readonly topic: string
  readonly body: string
  readonly key?: string
  readonly tags?: string
  readonly broker?: string
  readonly qid?: number
}

const PRODUCER_GROUP = 'PID_SMSC'
const QUEUES_OF_NEW_TOPICS = 4

/** Answers that mean "stored", in the words of RocketMQ's clients. */
const STORED: Readonly<Record<number, string>> = {
  [ResponseCode.SUCCESS]: 'SEND_OK',
  [ResponseCode.FLUSH_DISK_TIMEOUT]: 'FLUSH_DISK_TIMEOUT',
  [ResponseCode.FLUSH_SLAVE_TIMEOUT]: 'FLUSH_SLAVE_TIMEOUT',
  [ResponseCode.SLAVE_NOT_AVAILABLE]: 'SLAVE_NOT_AVAILABLE',
}

export const sendMessage: AdminCommand<SendOptions> = {
  name: 'sendMessage',
  summary: 'Send one message.',
  options: [
    OPTION.topic,
    { flags: '-p, --body <text>', description: 'the message', required: true },
    { flags: '-k, --key <keys>', description: 'keys, with blanks between them' },
    { flags: '-c, --tags <tag>', description: 'tag' },
    { flags: '-b, --broker <name>', description: 'to this broker name' },
    { flags: '-i, --qid <id>', description: 'to this queue (with -b)', parse: count(0) },
    {
      flags: '-m, --msgTraceEnable <flag>',
      description: 'only false: no trace is written',
      parse: trueOrFalse,
    },
  ],
  example: 'sendMessage -t TopicTest -p "hello world"',
  async run(admin, options) {
    const target = await targetOf(admin, options)
    const uniqueId = new UniqueIds(Buffer.from([127, 0, 0, 1]), process.pid).next(Date.now())
    const answer = await admin.askBroker(target.address, {
      code: RequestCode.SEND_MESSAGE_V2,
      ext: sendHeader(options, target, uniqueId),
      body: Buffer.from(options.body),
      accept: Object.keys(STORED).map(Number),
    })
    const sent = {
      broker: target.broker,
      queueId: Number(answer.ext.queueId),
      queueOffset: Number(answer.ext.queueOffset),
      result: STORED[answer.code],
      messageId: uniqueId,
      offsetMessageId: answer.ext.msgId,
    }
    return {
      json: sent,
      sections: [
        {
          kind: 'table',
          columns: columns('Broker', '>Queue', '>Offset', 'Result', 'Message ID', 'Offset ID'),
          rows: [
            [
              sent.broker,
              sent.queueId,
              sent.queueOffset,
              sent.result,
              sent.messageId,
              sent.offsetMessageId,
            ],
          ],
          empty: '',
        },
      ],
    }
  },
}

interface Target {
  broker: string
  address: string
  queueId: number
}

async function targetOf(admin: Admin, { topic, broker, qid }: SendOptions): Promise<Target> {
  if (qid !== undefined && broker === undefined) {
    throw new UsageError('-i needs -b: a queue is one of a broker')
  }
  const all = await writableQueues(admin, topic)
  const usable = all.filter((target) => broker === undefined || target.broker.name === broker)
  const chosen = usable[usable.length > 1 ? randomInt(usable.length) : 0]
  if (chosen === undefined) {
    const names = all.map((target) => target.broker.name).join(', ')
    throw new AdminError(
      `the broker ${broker} does not serve ${topic}`,
      `brokers that do: ${names}`,
    )
  }
  const queueId = qid ?? randomInt(Math.max(1, chosen.queueCount))
  return { broker: chosen.broker.name, address: leaderOf(chosen.broker), queueId }
}

/** The short field names of code 310. */
function sendHeader({ topic, key, tags }: SendOptions, target: Target, uniqueId: string) {
  const properties = new Map<string, string>([
    [PropertyName.UNIQ_KEY, uniqueId],
    [PropertyName.WAIT, 'true'],
    [PropertyName.KEYS, key ?? ''],
    [PropertyName.TAGS, tags ?? ''],
  ])
  return {
    a: PRODUCER_GROUP,
    b: topic,
    c: SystemTopic.AUTO_CREATE_TOPIC_KEY,
    d: QUEUES_OF_NEW_TOPICS,
    e: target.queueId,
    f: 0,
    g: Date.now(),
    h: 0,
    i: formatProperties(properties),
    j: 0,
    k: false,
    m: false,
    n: target.broker,
  }
}

interface ConsumeOptions {
  readonly topic: string
  readonly brokerName?: string
  readonly queueId?: number
  readonly offset?: number
  readonly MessageNumber?: number
  readonly consumerGroup?: string
  readonly beginTimestamp?: number
  readonly endTimestamp?: number
}

const READER_GROUP = 'TOOLS_CONSUMER'
const DEFAULT_MESSAGES = 128
const MESSAGES_A_PULL = 32

export const consumeMessage: AdminCommand<ConsumeOptions> = {
  name: 'consumeMessage',
  summary: 'Read messages of a topic without moving any consumer group.',
  options: [
    OPTION.topic,
    { flags: '-b, --brokerName <name>', description: 'only from this broker name' },
    { flags: '-i, --queueId <id>', description: 'only this queue (with -b)', parse: count(0) },
    { flags: '-o, --offset <offset>', description: 'from this offset (with -i)', parse: count(0) },
    {
      flags: '-c, --MessageNumber <count>',
      description: `at most (${DEFAULT_MESSAGES})`,
      parse: count(1),
    },
    { flags: '-g, --consumerGroup <group>', description: `read as this group (${READER_GROUP})` },
    { flags: '-s, --beginTimestamp <time>', description: 'stored from then on', parse: parseTime },
    { flags: '-e, --endTimestamp <time>', description: 'stored before then', parse: parseTime },
  ],
  example: 'consumeMessage -t TopicTest -c 10',
  async run(admin, options) {
    if (options.queueId !== undefined && options.brokerName === undefined) {
      throw new UsageError('-i needs -b: a queue is one of a broker')
    }
    if (options.offset !== undefined && options.queueId === undefined) {
      throw new UsageError('-o needs -i: an offset counts in one queue')
    }
    const wanted = options.MessageNumber ?? DEFAULT_MESSAGES
    const messages: MessageFacts[] = []
    for (const queue of await readableQueues(admin, options)) {
      if (messages.length >= wanted) break
      await readQueue(admin, options, queue, wanted, messages)
    }
    const empty = `no message in ${options.topic}`
    return { json: messages, sections: [messageTable(messages, empty)] }
  },
}

interface ReadableQueue {
  address: string
  queueId: number
}

async function readableQueues(admin: Admin, options: ConsumeOptions): Promise<ReadableQueue[]> {
  const { topic, brokerName, queueId } = options
  const route = await routeOf(admin, topic)
  const queues: ReadableQueue[] = []
  for (const data of route.queues) {
    if (brokerName !== undefined && data.brokerName !== brokerName) continue
    const broker = route.brokers.find(({ name }) => name === data.brokerName)
    const address = broker === undefined ? undefined : answeringAddress(broker)
    if (address === undefined) continue
    for (let id = 0; id < data.readQueueNums; id++) {
      if (queueId === undefined || queueId === id) queues.push({ address, queueId: id })
    }
  }
  if (queues.length > 0) return queues
  const hint = `see: mqadmin topicRoute -t ${topic}`
  throw new AdminError(`${topic} has no such queue to read from`, hint)
}

/** Appends messages of one queue until `wanted` are there or the end is reached. */
async function readQueue(
  admin: Admin,
  options: ConsumeOptions,
  queue: ReadableQueue,
  wanted: number,
  messages: MessageFacts[],
): Promise<void> {
  const end = await offsetAt(
    admin,
    options,
    queue,
    options.endTimestamp,
    RequestCode.GET_MAX_OFFSET,
  )
  let next =
    options.offset ??
    (await offsetAt(admin, options, queue, options.beginTimestamp, RequestCode.GET_MIN_OFFSET))
  while (next < end && messages.length < wanted) {
    const most = Math.min(MESSAGES_A_PULL, wanted - messages.length)
    const pulled = await pull(admin, options, queue, next, most)
    for (const message of pulled.messages) {
      if (message.queueOffset < end && messages.length < wanted) messages.push(message)
    }
    if (pulled.next <= next) return
    next = pulled.next
  }
}

/** The offset for a time, or the first or next offset (`bound`) without one. */
async function offsetAt(
  admin: Admin,
  { topic }: ConsumeOptions,
  { address, queueId }: ReadableQueue,
  timestamp: number | undefined,
  bound: number,
): Promise<number> {
  const code = timestamp === undefined ? bound : RequestCode.SEARCH_OFFSET_BY_TIMESTAMP
  const answer = await admin.askBroker(address, { code, ext: { topic, queueId, timestamp } })
  return Number(answer.ext.offset)
}

/** One pull that neither waits, nor commits, nor needs a member of the group. */
async function pull(
  admin: Admin,
  options: ConsumeOptions,
  { address, queueId }: ReadableQueue,
  queueOffset: number,
  maxMsgNums: number,
): Promise<{ messages: MessageFacts[]; next: number }> {
  const answer = await admin.askBroker(address, {
    code: RequestCode.PULL_MESSAGE,
    ext: {
      consumerGroup: options.consumerGroup ?? READER_GROUP,
      topic: options.topic,
      queueId,
      queueOffset,
      maxMsgNums,
      sysFlag: PullSysFlag.SUBSCRIPTION,
      commitOffset: 0,
      suspendTimeoutMillis: 0,
      subscription: '*',
      subVersion: 0,
      expressionType: 'TAG',
    },
    accept: [
      ResponseCode.PULL_NOT_FOUND,
      ResponseCode.PULL_RETRY_IMMEDIATELY,
      ResponseCode.PULL_OFFSET_MOVED,
    ],
  })
  const found = answer.code === ResponseCode.SUCCESS
  return {
    messages: found ? readMessages(answer.body) : [],
    next: Number(answer.ext.nextBeginOffset ?? queueOffset),
  }
}
