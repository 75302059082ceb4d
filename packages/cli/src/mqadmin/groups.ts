/**
 * What brokers know about consumer groups: progress and connections, gathered over the brokers of a
 * group.
 */
import {
  asJsonObject,
  parseJsonBody,
  RequestCode,
  ResponseCode,
  RocketMqVersion,
} from '@ringledger/protocol'
import type { Admin } from './admin.ts'
import { answeringAddress, type Broker } from './queries.ts'
import { queueEntries } from './queue-keys.ts'

export interface QueueProgress {
  topic: string
  broker: string
  queueId: number
  brokerOffset: number
  consumerOffset: number
  pullOffset: number
  /** Messages that wait. */
  diff: number
  /** Messages on their way: pulled, not yet committed. */
  inflight: number
  lastTimestamp: number
}

export interface GroupProgress {
  consumeTps: number
  queues: QueueProgress[]
}

/** Code 208 on each broker; a broker that does not know the topic adds nothing. */
export async function groupProgress(
  admin: Admin,
  brokers: readonly Broker[],
  consumerGroup: string,
  topic?: string,
): Promise<GroupProgress> {
  const progress: GroupProgress = { consumeTps: 0, queues: [] }
  for (const broker of brokers) {
    const address = answeringAddress(broker)
    if (address === undefined) continue
    const answer = await admin.askBroker(address, {
      code: RequestCode.GET_CONSUME_STATS,
      ext: { consumerGroup, topic },
      accept: [ResponseCode.TOPIC_NOT_EXIST, ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST],
    })
    if (answer.code !== ResponseCode.SUCCESS) continue
    const stats = asJsonObject(parseJsonBody(answer.body) ?? {}, 'the consume statistics')
    progress.consumeTps += Number(stats.consumeTps ?? 0)
    for (const [queue, value] of queueEntries(answer.body, 'offsetTable')) {
      progress.queues.push(readProgress(queue, asJsonObject(value, 'a queue')))
    }
  }
  return progress
}

function readProgress(
  queue: { topic: string; brokerName: string; queueId: number },
  value: Record<string, unknown>,
): QueueProgress {
  const brokerOffset = Number(value.brokerOffset ?? 0)
  const consumerOffset = Math.max(0, Number(value.consumerOffset ?? 0))
  const pullOffset = Math.max(consumerOffset, Number(value.pullOffset ?? 0))
  return {
    topic: queue.topic,
    broker: queue.brokerName,
    queueId: queue.queueId,
    brokerOffset,
    consumerOffset,
    pullOffset,
    diff: brokerOffset - consumerOffset,
    inflight: pullOffset - consumerOffset,
    lastTimestamp: Number(value.lastTimestamp ?? 0),
  }
}

/** The sum over all queues. */
export function totalDiff({ queues }: GroupProgress): number {
  return queues.reduce((sum, queue) => sum + queue.diff, 0)
}

export interface GroupMember {
  clientId: string
  clientAddr: string
  language: string
  version: string
}

export interface GroupConnections {
  members: GroupMember[]
  consumeType: string | undefined
  messageModel: string | undefined
  consumeFromWhere: string | undefined
  subscriptions: { topic: string; expression: string; expressionType: string }[]
}

/** Code 203 on each address; undefined while no member is online. */
export async function groupConnections(
  admin: Admin,
  addresses: readonly string[],
  consumerGroup: string,
): Promise<GroupConnections | undefined> {
  let found: GroupConnections | undefined
  for (const address of addresses) {
    const answer = await admin.askBroker(address, {
      code: RequestCode.GET_CONSUMER_CONNECTION_LIST,
      ext: { consumerGroup },
      accept: [ResponseCode.CONSUMER_NOT_ONLINE],
    })
    if (answer.code !== ResponseCode.SUCCESS) continue
    const connections = readConnections(asJsonObject(parseJsonBody(answer.body), 'the connections'))
    if (found === undefined) found = connections
    else addMembers(found, connections.members)
  }
  return found
}

/** A member is connected with every broker of its topics, and counts once. */
function addMembers(to: GroupConnections, members: readonly GroupMember[]): void {
  for (const member of members) {
    if (!to.members.some(({ clientId }) => clientId === member.clientId)) to.members.push(member)
  }
}

function readConnections(body: Record<string, unknown>): GroupConnections {
  const connections = Array.isArray(body.connectionSet) ? body.connectionSet : []
  const table = asJsonObject(body.subscriptionTable ?? {}, 'subscriptionTable')
  return {
    members: connections.map((value) => {
      const connection = asJsonObject(value, 'a connection')
      return {
        clientId: String(connection.clientId),
        clientAddr: String(connection.clientAddr),
        language: String(connection.language),
        version: versionText(Number(connection.version)),
      }
    }),
    consumeType: text(body.consumeType),
    messageModel: text(body.messageModel),
    consumeFromWhere: text(body.consumeFromWhere),
    subscriptions: Object.entries(table).map(([topic, value]) => {
      const subscription = asJsonObject(value, 'a subscription')
      return {
        topic,
        expression: String(subscription.subString ?? ''),
        expressionType: String(subscription.expressionType ?? 'TAG'),
      }
    }),
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function versionText(version: number): string {
  const known = Object.entries(RocketMqVersion).find(([, ordinal]) => ordinal === version)
  return known === undefined ? String(version) : known[0]
}
