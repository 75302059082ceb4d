/**
 * A connection with the broker that takes writes, found as clients find it: broker id 0 at the name
 * server. Owns one rule: whoever doubts the connection gets a new search, never the same socket.
 */
import { RemotingClient } from '@ringledger/network'
import {
  type ClusterInfo,
  parseJsonBody,
  type RemotingCommand,
  RequestCode,
} from '@ringledger/protocol'

const CONNECT_TIMEOUT_MS = 500
const ASK_TIMEOUT_MS = 1000
/** Between two looks at the name server while nobody leads. */
const RETRY_MS = 20

export class LeaderLink {
  readonly #nameServer: string
  #client: Promise<RemotingClient> | undefined
  #closed = false

  constructor(nameServer: string) {
    this.#nameServer = nameServer
  }

  /** Resolves once a leader accepts a connection. @throws Error after {@link close}. */
  client(): Promise<RemotingClient> {
    this.#client ??= this.#search()
    return this.#client
  }

  /** Asks the leader. @throws LedgerError TIMEOUT, CLOSED. */
  async request(
    command: Parameters<RemotingClient['request']>[0],
    timeoutMs: number,
  ): Promise<RemotingCommand> {
    return await (await this.client()).request(command, timeoutMs)
  }

  /** The connection failed or its broker leads no more; the others that use it search as well. */
  async doubt(client: RemotingClient): Promise<void> {
    if ((await this.#client?.catch(() => undefined)) === client) this.#client = undefined
    await client.close()
    await retryPause()
  }

  async close(): Promise<void> {
    this.#closed = true
    const client = await this.#client?.catch(() => undefined)
    await client?.close()
  }

  async #search(): Promise<RemotingClient> {
    while (!this.#closed) {
      const client = new RemotingClient({ connectTimeoutMs: CONNECT_TIMEOUT_MS })
      try {
        await client.connect(await leaderAddress(this.#nameServer))
        return client
      } catch {
        await retryPause()
      }
    }
    throw new Error('the load has ended')
  }
}

/** @throws Error when the name server knows no leader or does not answer. */
export async function leaderAddress(nameServer: string): Promise<string> {
  const client = new RemotingClient({ connectTimeoutMs: CONNECT_TIMEOUT_MS })
  await client.connect(nameServer)
  try {
    const request = { code: RequestCode.GET_BROKER_CLUSTER_INFO }
    const { body } = await client.request(request, ASK_TIMEOUT_MS)
    const { brokerAddrTable } = parseJsonBody(body) as ClusterInfo
    for (const { brokerAddrs } of Object.values(brokerAddrTable)) {
      const address = brokerAddrs['0']
      if (address !== undefined) return address
    }
  } finally {
    await client.close()
  }
  throw new Error(`${nameServer} knows no leader`)
}

/** What a client's back-off is: nothing announces that a broker would take the next attempt. */
function retryPause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(), RETRY_MS)
  })
}
