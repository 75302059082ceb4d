/** updateTopic and deleteTopic. */
import { RequestCode, SystemTopic, TopicSysFlag } from '@ringledger/protocol'
import type { Admin } from '../admin.ts'
import {
  type AdminCommand,
  brokerOrCluster,
  count,
  ON_BROKERS,
  OPTION,
  oneOf,
  trueOrFalse,
} from '../command.ts'
import { type Broker, clusterBrokers, leaderOf } from '../queries.ts'
import { columns } from '../view.ts'

interface UpdateOptions {
  readonly topic: string
  readonly brokerAddr?: string
  readonly clusterName?: string
  readonly readQueueNums?: number
  readonly writeQueueNums?: number
  readonly perm?: string
  readonly order?: boolean
  readonly unit?: boolean
  readonly hasUnitSub?: boolean
  readonly attributes?: string
}

/** Where ordered topics are listed for producers. */
const ORDER_NAMESPACE = 'ORDER_TOPIC_CONFIG'
const DEFAULT_QUEUES = 8
const DEFAULT_PERMISSION = '6'

export const updateTopic: AdminCommand<UpdateOptions> = {
  name: 'updateTopic',
  summary: 'Create a topic or change it.',
  options: [
    OPTION.topic,
    ...ON_BROKERS,
    { flags: '-r, --readQueueNums <count>', description: 'read queues (8)', parse: count(1) },
    { flags: '-w, --writeQueueNums <count>', description: 'write queues (8)', parse: count(1) },
    {
      flags: '-p, --perm <permission>',
      description: '2 write, 4 read, 6 both (6)',
      parse: oneOf('2', '4', '6'),
    },
    { flags: '-o, --order <flag>', description: 'true: list it as ordered', parse: trueOrFalse },
    { flags: '-u, --unit <flag>', description: 'true: unit topic', parse: trueOrFalse },
    {
      flags: '-s, --hasUnitSub <flag>',
      description: 'true: unit subscription',
      parse: trueOrFalse,
    },
    { flags: '-a, --attributes <changes>', description: '+name=value,-name' },
  ],
  example: 'updateTopic -c RaftCluster -t TopicTest -r 8 -w 8',
  async run(admin, options) {
    brokerOrCluster(options)
    const { targets, brokers } = await targetsOf(admin, options)
    const ext = topicHeader(options)
    for (const address of targets) {
      await admin.askBroker(address, { code: RequestCode.UPDATE_AND_CREATE_TOPIC, ext })
    }
    if (options.order === true) await putOrderList(admin, options, brokers)
    const { topic, readQueueNums, writeQueueNums, perm, attributes } = ext
    return {
      json: {
        topic,
        readQueueNums,
        writeQueueNums,
        perm: Number(perm),
        attributes,
        brokers: targets,
      },
      sections: [
        {
          kind: 'table',
          columns: columns('Topic', 'Broker address', '>Read', '>Write', '>Permission'),
          rows: targets.map((address) => [topic, address, readQueueNums, writeQueueNums, perm]),
          empty: 'the cluster has no broker',
        },
      ],
    }
  },
}

async function targetsOf(
  admin: Admin,
  { brokerAddr, clusterName, order }: UpdateOptions,
): Promise<{ targets: string[]; brokers: Broker[] }> {
  if (brokerAddr === undefined) {
    const brokers = await clusterBrokers(admin, clusterName)
    return { brokers, targets: brokers.map(leaderOf) }
  }
  const all = order === true ? await clusterBrokers(admin) : []
  const brokers = all.filter((broker) => [...broker.addresses.values()].includes(brokerAddr))
  return { brokers, targets: [brokerAddr] }
}

function topicHeader(options: UpdateOptions) {
  const unit = options.unit === true ? TopicSysFlag.UNIT : 0
  const unitSubscription = options.hasUnitSub === true ? TopicSysFlag.UNIT_SUBSCRIPTION : 0
  return {
    topic: options.topic,
    defaultTopic: SystemTopic.AUTO_CREATE_TOPIC_KEY,
    readQueueNums: options.readQueueNums ?? DEFAULT_QUEUES,
    writeQueueNums: options.writeQueueNums ?? DEFAULT_QUEUES,
    perm: options.perm ?? DEFAULT_PERMISSION,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: unit | unitSubscription,
    order: options.order ?? false,
    attributes: options.attributes ?? '',
    force: false,
  }
}

async function putOrderList(
  admin: Admin,
  { topic, writeQueueNums }: UpdateOptions,
  brokers: readonly Broker[],
): Promise<void> {
  const value = brokers.map(({ name }) => `${name}:${writeQueueNums ?? DEFAULT_QUEUES}`).join(';')
  const ext = { namespace: ORDER_NAMESPACE, key: topic, value }
  await admin.askEveryNameServer({ code: RequestCode.PUT_KV_CONFIG, ext })
}

export const deleteTopic: AdminCommand<{ topic: string; clusterName: string }> = {
  name: 'deleteTopic',
  summary: 'Delete a topic from a cluster; its messages cannot be read any more.',
  options: [
    OPTION.topic,
    { flags: '-c, --clusterName <cluster>', description: 'from this cluster', required: true },
  ],
  example: 'deleteTopic -c RaftCluster -t TopicTest',
  async run(admin, { topic, clusterName }) {
    const brokers = await clusterBrokers(admin, clusterName)
    const leaders = brokers.map(leaderOf)
    for (const address of leaders) {
      await admin.askBroker(address, { code: RequestCode.DELETE_TOPIC_IN_BROKER, ext: { topic } })
    }
    const ext = { topic, clusterName }
    await admin.askEveryNameServer({ code: RequestCode.DELETE_TOPIC_IN_NAMESRV, ext })
    const order = { namespace: ORDER_NAMESPACE, key: topic }
    await admin.askEveryNameServer({ code: RequestCode.DELETE_KV_CONFIG, ext: order })
    const text = `deleted the topic ${topic} from ${clusterName} (${leaders.join(', ')})`
    return {
      json: { topic, cluster: clusterName, brokers: leaders },
      sections: [{ kind: 'text', text }],
    }
  },
}
