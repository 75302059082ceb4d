/** updateSubGroup and resetOffsetByTime: changes of consumer groups. */
import {
  asJsonObject,
  defaultSubscriptionGroupConfig,
  jsonBody,
  parseJsonBody,
  parseLenientJson,
  RequestCode,
  ResponseCode,
  type SubscriptionGroupConfig,
} from '@ringledger/protocol'
import type { Admin } from '../admin.ts'
import {
  type AdminCommand,
  brokerOrCluster,
  count,
  ON_BROKERS,
  OPTION,
  trueOrFalse,
} from '../command.ts'
import { UsageError } from '../errors.ts'
import { clusterBrokers, leaderOf, routeOf } from '../queries.ts'
import { queueEntries } from '../queue-keys.ts'
import { parseTime } from '../time.ts'
import { columns } from '../view.ts'

interface GroupOptions {
  readonly groupName: string
  readonly brokerAddr?: string
  readonly clusterName?: string
  readonly consumeEnable?: boolean
  readonly consumeFromMinEnable?: boolean
  readonly consumeBroadcastEnable?: boolean
  readonly consumeMessageOrderly?: boolean
  readonly retryQueueNums?: number
  readonly retryMaxTimes?: number
  readonly brokerId?: number
  readonly whichBrokerWhenConsumeSlowly?: number
  readonly notifyConsumerIdsChanged?: boolean
  readonly groupRetryPolicy?: SubscriptionGroupConfig['groupRetryPolicy']
}

export const updateSubGroup: AdminCommand<GroupOptions> = {
  name: 'updateSubGroup',
  summary: 'Create a consumer group or change it; what is not named stays as it is.',
  options: [
    OPTION.group,
    ...ON_BROKERS,
    flag('-s, --consumeEnable <flag>', 'false: nobody of the group gets messages'),
    flag('-m, --consumeFromMinEnable <flag>', 'a new group starts at the first message'),
    flag('-d, --consumeBroadcastEnable <flag>', 'members may consume as broadcast'),
    flag('-o, --consumeMessageOrderly <flag>', 'messages of a queue go out one after the other'),
    number('-q, --retryQueueNums <count>', 'queues of the retry topic'),
    number('-r, --retryMaxTimes <count>', 'deliveries before a message is given up'),
    number('-i, --brokerId <id>', 'consume from this broker id'),
    number('-w, --whichBrokerWhenConsumeSlowly <id>', 'consume from this id when far behind'),
    flag('-a, --notifyConsumerIdsChanged <flag>', 'tell members when others come and go'),
    {
      flags: '-p, --groupRetryPolicy <json>',
      description: '{"type":"EXPONENTIAL",…} or {"type":"CUSTOMIZED",…}',
      parse: retryPolicy,
    },
  ],
  example: 'updateSubGroup -c RaftCluster -g my_group -r 16',
  async run(admin, options) {
    brokerOrCluster(options)
    const targets =
      options.brokerAddr === undefined
        ? (await clusterBrokers(admin, options.clusterName)).map(leaderOf)
        : [options.brokerAddr]
    const written: Record<string, SubscriptionGroupConfig> = {}
    for (const address of targets) {
      const config = changed(await currentConfig(admin, address, options.groupName), options)
      const code = RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
      await admin.askBroker(address, { code, body: jsonBody(config) })
      written[address] = config
    }
    return {
      json: written,
      sections: Object.entries(written).map(([address, config]) => ({
        kind: 'fields',
        title: `${address}:`,
        fields: Object.entries(config).map(([name, value]) => [
          name,
          typeof value === 'object' ? JSON.stringify(value) : value,
        ]),
      })),
    }
  },
}

function flag(flags: string, description: string) {
  return { flags, description: `${description} (true|false)`, parse: trueOrFalse }
}

function number(flags: string, description: string) {
  return { flags, description, parse: count(0) }
}

function retryPolicy(text: string): unknown {
  let policy: unknown
  try {
    policy = parseLenientJson(text)
  } catch {
    throw new UsageError(`'${text}' is no JSON`)
  }
  const type = (policy as { type?: unknown } | null)?.type
  if (type === 'EXPONENTIAL' || type === 'CUSTOMIZED') return policy
  throw new UsageError('its type must be EXPONENTIAL or CUSTOMIZED')
}

/** What the broker has, or RocketMQ's defaults for a group it does not know. */
async function currentConfig(
  admin: Admin,
  address: string,
  group: string,
): Promise<SubscriptionGroupConfig> {
  const defaults = defaultSubscriptionGroupConfig(group)
  const answer = await admin.askBroker(address, {
    code: RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG,
    ext: { group },
    accept: [ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, ResponseCode.REQUEST_CODE_NOT_SUPPORTED],
  })
  if (answer.code !== ResponseCode.SUCCESS) return defaults
  return { ...defaults, ...asJsonObject(parseJsonBody(answer.body), 'the group') }
}

function changed(config: SubscriptionGroupConfig, options: GroupOptions): SubscriptionGroupConfig {
  return {
    ...config,
    groupName: options.groupName,
    consumeEnable: options.consumeEnable ?? config.consumeEnable,
    consumeFromMinEnable: options.consumeFromMinEnable ?? config.consumeFromMinEnable,
    consumeBroadcastEnable: options.consumeBroadcastEnable ?? config.consumeBroadcastEnable,
    consumeMessageOrderly: options.consumeMessageOrderly ?? config.consumeMessageOrderly,
    retryQueueNums: options.retryQueueNums ?? config.retryQueueNums,
    retryMaxTimes: options.retryMaxTimes ?? config.retryMaxTimes,
    brokerId: options.brokerId ?? config.brokerId,
    whichBrokerWhenConsumeSlowly:
      options.whichBrokerWhenConsumeSlowly ?? config.whichBrokerWhenConsumeSlowly,
    notifyConsumerIdsChangedEnable:
      options.notifyConsumerIdsChanged ?? config.notifyConsumerIdsChangedEnable,
    groupRetryPolicy: options.groupRetryPolicy ?? config.groupRetryPolicy,
  }
}

interface ResetOptions {
  readonly group: string
  readonly topic: string
  readonly timestamp: number
  readonly broker?: string
  readonly cluster?: string
  readonly queue?: number
  readonly offset?: number
}

/** As offset or queue id: none given. As time stamp: the end of the queue. */
const NONE = -1

export const resetOffsetByTime: AdminCommand<ResetOptions> = {
  name: 'resetOffsetByTime',
  summary: 'Move a consumer group to the messages stored from a point in time on.',
  options: [
    { flags: '-g, --group <group>', description: 'consumer group name', required: true },
    OPTION.topic,
    {
      flags: '-s, --timestamp <time>',
      description: 'now (skip what waits), milliseconds, or yyyy-MM-dd#HH:mm:ss:SSS',
      required: true,
      parse: (text) => (text === 'now' ? NONE : parseTime(text)),
    },
    { flags: '-b, --broker <address>', description: 'only on this broker, host:port' },
    { flags: '-c, --cluster <cluster>', description: 'on the brokers of this cluster' },
    number('-q, --queue <id>', 'only this queue'),
    number('-o, --offset <offset>', 'to this offset of the queue, whatever the time'),
    { flags: '-f, --force <flag>', description: 'has no effect any more', parse: trueOrFalse },
  ],
  example: 'resetOffsetByTime -g my_group -t TopicTest -s now',
  async run(admin, { group, topic, timestamp, broker, cluster, queue, offset }) {
    if (offset !== undefined && queue === undefined) {
      throw new UsageError('-o needs -q: an offset counts in one queue')
    }
    const brokers =
      cluster === undefined
        ? (await routeOf(admin, topic)).brokers
        : await clusterBrokers(admin, cluster)
    const ext = {
      group,
      topic,
      timestamp,
      isForce: true,
      queueId: queue ?? NONE,
      offset: offset ?? NONE,
    }
    const queues = []
    for (const address of broker === undefined ? brokers.map(leaderOf) : [broker]) {
      const question = { code: RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, ext }
      const answer = await admin.askBroker(address, question)
      for (const [{ brokerName, queueId }, to] of queueEntries(answer.body, 'offsetTable')) {
        queues.push({ broker: brokerName, queueId, offset: Number(to) })
      }
    }
    return {
      json: { group, topic, queues },
      sections: [
        {
          kind: 'table',
          columns: columns('Broker', '>Queue', '>New offset'),
          rows: queues.map((moved) => [moved.broker, moved.queueId, moved.offset]),
          empty: 'no queue was moved',
        },
      ],
    }
  },
}
