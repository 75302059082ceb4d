/**
 * As many messages as a group takes: several connections, each with a window of unanswered sends.
 */
import { RemotingClient } from '@ringledger/network'
import { ResponseCode } from '@ringledger/protocol'
import { leaderAddress } from './leader-link.ts'
import { loadBody, newRun, sendRequest } from './load-message.ts'
import { LoadRecord } from './record.ts'

export interface FloodOptions {
  readonly nameServer: string
  readonly topic: string
  readonly messages: number
  readonly bodyBytes?: number
  readonly connections?: number
  /** Unanswered sends of a connection. */
  readonly window?: number
}

const REQUEST_TIMEOUT_MS = 20_000
const QUEUES = 4

/** Resolves when all are acknowledged. @throws Error when the leader changes or refuses one. */
export async function flood(options: FloodOptions): Promise<LoadRecord> {
  const { nameServer, topic, messages, bodyBytes = 1024, connections = 4, window = 64 } = options
  const record = new LoadRecord(newRun(), topic)
  const address = await leaderAddress(nameServer)
  await createTopic(address, topic)
  const clients = Array.from({ length: connections }, () => new RemotingClient())
  try {
    await Promise.all(clients.map((client) => client.connect(address)))
    const lane = async (client: RemotingClient): Promise<void> => {
      while (record.attempted < messages) await sendOne(client, record, bodyBytes)
    }
    const lanes = clients.flatMap((client) => Array.from({ length: window }, () => lane(client)))
    await Promise.all(lanes)
  } finally {
    await Promise.all(clients.map((client) => client.close()))
  }
  return record
}

/** The first send of a topic makes it; the record holds only what comes after. */
async function createTopic(address: string, topic: string): Promise<void> {
  const client = new RemotingClient()
  await client.connect(address)
  try {
    await sendOne(client, new LoadRecord(newRun(), topic), 0)
  } finally {
    await client.close()
  }
}

async function sendOne(
  client: RemotingClient,
  record: LoadRecord,
  bodyBytes: number,
): Promise<void> {
  const sequence = record.nextSequence()
  const queueId = sequence % QUEUES
  const body = loadBody(record.run, sequence, bodyBytes)
  const request = sendRequest(record.topic, queueId, body)
  const { code, ext, remark } = await client.request(request, REQUEST_TIMEOUT_MS)
  if (code !== ResponseCode.SUCCESS) throw new Error(`send refused: ${code} ${remark ?? ''}`)
  record.add(sequence, Number(ext.queueId), Number(ext.queueOffset))
}
