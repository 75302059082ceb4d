/**
 * Reads queues through the real protocol, 32 messages a request, one request at a time for a queue:
 * to their ends as fast as it goes, or behind a load that goes on (long polls).
 */
import { RemotingClient } from '@ringledger/network'
import { msgTotalSize, RequestCode, ResponseCode } from '@ringledger/protocol'
import { eventually } from '../../test/harness/eventually.ts'

export interface PullOptions {
  readonly address: string
  readonly topic: string
  readonly queues: number
  readonly connections: number
  /** Only so many at the end of each queue; all when absent. */
  readonly lastOfQueue?: number
  /** Of a tail: the consumers are one group, in which each queue has one reader. */
  readonly isGroup?: boolean
}

export interface PullResult {
  readonly messages: number
  readonly bytes: number
  readonly seconds: number
}

const BATCH = 32
const TIMEOUT_MS = 20_000
const POLL_MS = 1000
/** The bit of sysFlag that says: hold the request until there is something. */
const SUSPEND = 2
const WITH_SUBSCRIPTION = 4

interface Pulled {
  readonly messages: number
  readonly bytes: number
  readonly next: number
  readonly empty: boolean
}

/**
 * Every queue, to the last message there is. @throws Error when one is refused.
 */
export async function pullAll(options: PullOptions): Promise<PullResult> {
  const { queues, connections } = options
  const clients = await connect(options.address, connections)
  const starts = await startsOf(clients[0] as RemotingClient, options)
  const startedMs = performance.now()
  let messages = 0
  let bytes = 0
  const readQueue = async (client: RemotingClient, queueId: number): Promise<void> => {
    for (let next = starts[queueId] ?? 0; ; ) {
      const pulled = await pull(client, options.topic, queueId, next, 0)
      if (pulled.empty && pulled.next === next) return
      messages += pulled.messages
      bytes += pulled.bytes
      next = pulled.next
    }
  }
  try {
    await Promise.all(
      Array.from({ length: queues }, (_, queueId) =>
        readQueue(clients[queueId % clients.length] as RemotingClient, queueId),
      ),
    )
    return { messages, bytes, seconds: (performance.now() - startedMs) / 1000 }
  } finally {
    await Promise.all(clients.map((client) => client.close()))
  }
}

/** Resolves when so many messages can be read: one is acknowledged a moment before it can. */
export async function readable(options: PullOptions, messages: number): Promise<void> {
  const [client] = (await connect(options.address, 1)) as [RemotingClient]
  const ends = async (): Promise<true | undefined> => {
    let sum = 0
    for (let queueId = 0; queueId < options.queues; queueId++) {
      sum += await endOf(client, options.topic, queueId)
    }
    return sum >= messages ? true : undefined
  }
  try {
    await eventually(ends, { what: `${messages} readable messages`, limitMs: TIMEOUT_MS })
  } finally {
    await client.close()
  }
}

/** Consumers that read a topic from its end on: each of them all queues, or as one group. */
export class Tail {
  readonly #clients: readonly RemotingClient[]
  readonly #readers: Promise<void>[] = []
  /** Messages that each reader of a queue has got. */
  readonly counts: number[] = []
  #ended = false
  #failure: Error | undefined

  private constructor(clients: readonly RemotingClient[]) {
    this.#clients = clients
  }

  /** @throws Error when a broker refuses. */
  static async start(options: PullOptions): Promise<Tail> {
    const tail = new Tail(await connect(options.address, options.connections))
    const { topic, queues, isGroup = false } = options
    for (const [consumer, client] of tail.#clients.entries()) {
      for (let queueId = 0; queueId < queues; queueId++) {
        if (isGroup && queueId % tail.#clients.length !== consumer) continue
        const offset = await endOf(client, topic, queueId)
        tail.#readers.push(tail.#follow(client, topic, queueId, offset))
      }
    }
    return tail
  }

  /** @throws Error when a consumer could not go on. */
  async end(): Promise<void> {
    this.#ended = true
    await Promise.all(this.#clients.map((client) => client.close()))
    await Promise.all(this.#readers)
    if (this.#failure !== undefined) throw this.#failure
  }

  async #follow(
    client: RemotingClient,
    topic: string,
    queueId: number,
    offset: number,
  ): Promise<void> {
    const reader = this.counts.push(0) - 1
    try {
      for (let next = offset; !this.#ended; ) {
        const pulled = await pull(client, topic, queueId, next, POLL_MS)
        this.counts[reader]! += pulled.messages
        next = pulled.next
      }
    } catch (error) {
      if (!this.#ended) this.#failure ??= error instanceof Error ? error : new Error(String(error))
    }
  }
}

async function connect(address: string, count: number): Promise<RemotingClient[]> {
  const clients = Array.from({ length: count }, () => new RemotingClient())
  await Promise.all(clients.map((client) => client.connect(address)))
  return clients
}

async function startsOf(client: RemotingClient, options: PullOptions): Promise<number[]> {
  const { topic, queues, lastOfQueue } = options
  if (lastOfQueue === undefined) return Array.from({ length: queues }, () => 0)
  const numbers = Array.from({ length: queues }, (_, queueId) => queueId)
  const ends = await Promise.all(numbers.map((queueId) => endOf(client, topic, queueId)))
  return ends.map((end) => Math.max(0, end - lastOfQueue))
}

async function endOf(client: RemotingClient, topic: string, queueId: number): Promise<number> {
  const ext = { topic, queueId: String(queueId) }
  const answer = await client.request({ code: RequestCode.GET_MAX_OFFSET, ext }, TIMEOUT_MS)
  if (answer.code === ResponseCode.SUCCESS) return Number(answer.ext.offset)
  throw new Error(`the end of queue ${queueId}: code ${answer.code} ${answer.remark ?? ''}`)
}

async function pull(
  client: RemotingClient,
  topic: string,
  queueId: number,
  queueOffset: number,
  holdMs: number,
): Promise<Pulled> {
  const ext = {
    consumerGroup: 'bench',
    topic,
    queueId: String(queueId),
    queueOffset: String(queueOffset),
    maxMsgNums: String(BATCH),
    sysFlag: String(WITH_SUBSCRIPTION | (holdMs > 0 ? SUSPEND : 0)),
    commitOffset: '0',
    suspendTimeoutMillis: String(holdMs),
    subscription: '*',
    subVersion: '0',
    expressionType: 'TAG',
  }
  const request = { code: RequestCode.PULL_MESSAGE, ext }
  const { code, remark, body, ext: answer } = await client.request(request, TIMEOUT_MS)
  const next = Number(answer.nextBeginOffset)
  if (code === ResponseCode.SUCCESS) {
    let messages = 0
    for (let at = 0; at < body.length; at += msgTotalSize(body, at)) messages++
    return { messages, bytes: body.length, next, empty: false }
  }
  const nothing = code === ResponseCode.PULL_NOT_FOUND || code === ResponseCode.PULL_OFFSET_MOVED
  const retry = code === ResponseCode.PULL_RETRY_IMMEDIATELY
  if (nothing || retry) return { messages: 0, bytes: 0, next, empty: true }
  throw new Error(`a pull of queue ${queueId}: code ${code} ${remark ?? ''}`)
}
