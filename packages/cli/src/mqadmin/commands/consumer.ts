/** consumerProgress and consumerConnection: how far the consumers are, and who they are. */
import {
  asJsonObject,
  groupOfRetryOrDlqTopic,
  isRetryTopic,
  parseJsonBody,
  RequestCode,
  ResponseCode,
} from '@ringledger/protocol'
import type { Admin } from '../admin.ts'
import { type AdminCommand, trueOrFalse } from '../command.ts'
import {
  type GroupConnections,
  groupConnections,
  groupProgress,
  type QueueProgress,
  totalDiff,
} from '../groups.ts'
import { answeringAddress, type Broker, brokersOfGroup, clusterBrokers } from '../queries.ts'
import { queueEntries } from '../queue-keys.ts'
import { formatTime } from '../time.ts'
import { columns, type View } from '../view.ts'
import { allTopics } from './topic-list.ts'

interface ProgressOptions {
  readonly groupName?: string
  readonly topicName?: string
  readonly cluster?: string
  readonly showClientIP?: boolean
}

export const consumerProgress: AdminCommand<ProgressOptions> = {
  name: 'consumerProgress',
  summary: 'Show how many messages wait for each consumer group, or for each queue of one group.',
  options: [
    { flags: '-g, --groupName <group>', description: 'one group, queue by queue' },
    { flags: '-t, --topicName <topic>', description: 'only this topic' },
    { flags: '-c, --cluster <cluster>', description: 'ask the brokers of this cluster' },
    {
      flags: '-s, --showClientIP <flag>',
      description: 'true: show which member reads a queue',
      parse: trueOrFalse,
    },
  ],
  example: 'consumerProgress -g please_rename_unique_group_name',
  run(admin, options) {
    return options.groupName === undefined
      ? allGroups(admin, options)
      : oneGroup(admin, options.groupName, options)
  },
}

async function oneGroup(admin: Admin, group: string, options: ProgressOptions): Promise<View> {
  const brokers =
    options.cluster === undefined
      ? await brokersOfGroup(admin, group)
      : await clusterBrokers(admin, options.cluster)
  const progress = await groupProgress(admin, brokers, group, options.topicName)
  const owners =
    options.showClientIP === true ? await queueOwners(admin, brokers, group) : undefined
  const queues = progress.queues.map((queue) => ({
    ...queue,
    ...(owners === undefined ? {} : { client: owners.get(queueKey(queue)) }),
  }))
  const waiting = totalDiff(progress)
  const heads = ['Topic', 'Broker', '>Queue', '>Broker offset', '>Consumer offset']
  return {
    json: { group, consumeTps: progress.consumeTps, diffTotal: waiting, queues },
    sections: [
      {
        kind: 'table',
        columns: columns(
          ...heads,
          ...(owners === undefined ? [] : ['Client']),
          '>Waiting',
          '>In flight',
          'Last consumed',
        ),
        rows: queues.map((queue) => [
          queue.topic,
          queue.broker,
          queue.queueId,
          queue.brokerOffset,
          queue.consumerOffset,
          ...(owners === undefined ? [] : [owners.get(queueKey(queue))]),
          queue.diff,
          queue.inflight,
          formatTime(queue.lastTimestamp),
        ]),
        empty: `no broker knows an offset of the group ${group}: it has consumed nothing yet`,
      },
      {
        kind: 'fields',
        fields: [
          ['Consumed per second', progress.consumeTps.toFixed(2)],
          ['Waiting in all', waiting],
        ],
      },
    ],
  }
}

function queueKey({ topic, broker, queueId }: QueueProgress): string {
  return `${topic}\n${broker}\n${queueId}`
}

/** Which member reads which queue, from the members' own running information (code 307). */
async function queueOwners(
  admin: Admin,
  brokers: readonly Broker[],
  consumerGroup: string,
): Promise<Map<string, string>> {
  const owners = new Map<string, string>()
  const addresses = addressesOf(brokers)
  const connections = await groupConnections(admin, addresses, consumerGroup)
  for (const { clientId, clientAddr } of connections?.members ?? []) {
    const answer = await admin.askBroker(addresses[0] ?? '', {
      code: RequestCode.GET_CONSUMER_RUNNING_INFO,
      ext: { consumerGroup, clientId, jstackEnable: false },
      accept: [ResponseCode.SYSTEM_ERROR, ResponseCode.CONSUME_MSG_TIMEOUT],
    })
    if (answer.code !== ResponseCode.SUCCESS) continue
    asJsonObject(parseJsonBody(answer.body), 'the running information')
    for (const [{ topic, brokerName, queueId }] of queueEntries(answer.body, 'mqTable')) {
      owners.set(`${topic}\n${brokerName}\n${queueId}`, clientAddr)
    }
  }
  return owners
}

function addressesOf(brokers: readonly Broker[]): string[] {
  return brokers.map(answeringAddress).filter((address) => address !== undefined)
}

async function allGroups(admin: Admin, options: ProgressOptions): Promise<View> {
  const topics = await allTopics(admin)
  const groups = []
  for (const topic of topics.filter(isRetryTopic)) {
    const group = groupOfRetryOrDlqTopic(topic) ?? topic
    const brokers = await brokersOfGroup(admin, group)
    const progress = await groupProgress(admin, brokers, group, options.topicName)
    const connections = await groupConnections(admin, addressesOf(brokers), group)
    groups.push({
      group,
      members: connections?.members.length ?? 0,
      version: connections?.members[0]?.version,
      consumeType: connections?.consumeType,
      messageModel: connections?.messageModel,
      consumeTps: progress.consumeTps,
      diffTotal: totalDiff(progress),
    })
  }
  return {
    json: groups,
    sections: [
      {
        kind: 'table',
        columns: columns(
          'Group',
          '>Members',
          'Version',
          'Type',
          'Model',
          '>Per second',
          '>Waiting',
        ),
        rows: groups.map((group) => [
          group.group,
          group.members,
          group.version,
          group.consumeType,
          group.messageModel,
          group.consumeTps.toFixed(2),
          group.diffTotal,
        ]),
        empty: 'no consumer group is known',
      },
    ],
  }
}

interface ConnectionOptions {
  readonly consumerGroup: string
  readonly brokerAddr?: string
}

export const consumerConnection: AdminCommand<ConnectionOptions> = {
  name: 'consumerConnection',
  summary: 'Show the members of a consumer group and what they subscribe to.',
  options: [
    { flags: '-g, --consumerGroup <group>', description: 'consumer group name', required: true },
    { flags: '-b, --brokerAddr <address>', description: 'ask this broker only, host:port' },
  ],
  example: 'consumerConnection -g please_rename_unique_group_name',
  async run(admin, { consumerGroup, brokerAddr }) {
    const addresses =
      brokerAddr === undefined
        ? addressesOf(await brokersOfGroup(admin, consumerGroup))
        : [brokerAddr]
    const connections = await groupConnections(admin, addresses, consumerGroup)
    return connections === undefined
      ? nobodyOnline(consumerGroup)
      : connectionView(consumerGroup, connections)
  },
}

function nobodyOnline(group: string): View {
  const text = `no member of the group ${group} is online`
  return { json: { group, online: false, members: [] }, sections: [{ kind: 'text', text }] }
}

function connectionView(group: string, connections: GroupConnections): View {
  const { members, subscriptions, consumeType, messageModel, consumeFromWhere } = connections
  return {
    json: { group, online: true, ...connections },
    sections: [
      {
        kind: 'table',
        columns: columns('Client', 'Address', 'Language', 'Version'),
        rows: members.map((member) => [
          member.clientId,
          member.clientAddr,
          member.language,
          member.version,
        ]),
        empty: 'no member',
      },
      {
        kind: 'table',
        columns: columns('Topic', 'Expression', 'Type'),
        rows: subscriptions.map(({ topic, expression, expressionType }) => [
          topic,
          expression,
          expressionType,
        ]),
        empty: 'no subscription',
      },
      {
        kind: 'fields',
        fields: [
          ['Consume type', consumeType],
          ['Message model', messageModel],
          ['Consume from', consumeFromWhere],
        ],
      },
    ],
  }
}
