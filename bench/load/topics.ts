/** Topics in numbers, made through the real protocol. */
import { RemotingClient } from '@ringledger/network'
import { RequestCode, ResponseCode } from '@ringledger/protocol'

const AT_A_TIME = 32
const TIMEOUT_MS = 20_000

/** @throws Error when the broker refuses one. */
export async function createTopics(
  address: string,
  topics: readonly string[],
  queues: number,
): Promise<void> {
  const client = new RemotingClient()
  await client.connect(address)
  try {
    for (let at = 0; at < topics.length; at += AT_A_TIME) {
      const some = topics.slice(at, at + AT_A_TIME)
      await Promise.all(some.map((topic) => createTopic(client, topic, queues)))
    }
  } finally {
    await client.close()
  }
}

async function createTopic(client: RemotingClient, topic: string, queues: number): Promise<void> {
  const ext = {
    topic,
    defaultTopic: 'TBW102',
    readQueueNums: String(queues),
    writeQueueNums: String(queues),
    perm: '6',
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: '0',
    order: 'false',
  }
  const request = { code: RequestCode.UPDATE_AND_CREATE_TOPIC, ext }
  const { code, remark } = await client.request(request, TIMEOUT_MS)
  if (code !== ResponseCode.SUCCESS) throw new Error(`topic ${topic}: code ${code} ${remark ?? ''}`)
}
