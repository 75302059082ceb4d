/**
 * A connection with the broker that takes writes, found as clients find it: broker id 0 at a name
 * server (`host:port`, or several with `;` between them, asked in turn). Owns one rule: whoever
 * doubts the connection gets a new search, never the same socket.
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
  #nameServers: string
  #client: Promise<RemotingClient> | undefined
  /** Connections that were given up; several senders may doubt the same. */
  readonly #doubted: WeakSet<RemotingClient> = new WeakSet()
  #closed = false

  constructor(nameServers: string) {
    this.#nameServers = nameServers
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
    if (!this.#doubted.has(client)) {
      this.#doubted.add(client)
      this.#client = undefined
      this.#nameServers = rotated(this.#nameServers)
      await client.close()
    }
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
        await client.connect(await leaderAddress(this.#nameServers))
        return client
      } catch {
        // One that was cut off with its broker may go on naming that one.
        this.#nameServers = rotated(this.#nameServers)
        await retryPause()
      }
    }
    throw new Error('the load has ended')
  }
}

/** @throws Error when no name server knows a leader. */
export async function leaderAddress(nameServers: string): Promise<string> {
  let problem: unknown
  for (const nameServer of nameServers.split(';')) {
    try {
      return await leaderKnownTo(nameServer)
    } catch (error) {
      problem = error
    }
  }
  throw problem
}

async function leaderKnownTo(nameServer: string): Promise<string> {
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

function rotated(list: string): string {
  const [first, ...others] = list.split(';')
  return [...others, first].join(';')
}

/** What a client's back-off is: nothing announces that a broker would take the next attempt. */
function retryPause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(), RETRY_MS)
  })
}
