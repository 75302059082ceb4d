/**
 * Registers this node at every name server: at once when its role or topics change, and every
 * `registerNameServerPeriodMs` besides. Runs on the main thread.
 * Invariants: the state version is the Raft term, so a deposed leader never takes broker id 0 back;
 * a name server that does not answer never delays another one.
 */
import { RemotingClient, type RequestInit } from '@ringledger/network'
import { RequestCode, stringifyJson } from '@ringledger/protocol'

/** What is registered; replaced as a whole. */
export interface Registration {
  /** 0 for the serving leader, else the node's own number. */
  brokerId: number
  /** Raft term. */
  stateVersion: number
  /** Grows with each change of topics. */
  counter: number
  timestampMs: number
  /** TopicConfig by name, in the form of the register body. */
  topics: Readonly<Record<string, unknown>>
}

export interface RegistrarOptions {
  nameServers: readonly string[]
  clusterName: string
  brokerName: string
  brokerAddress: string
  haServerAddress: string
  periodMs: number
  /** For connecting and for an answer. */
  requestTimeoutMs?: number
  log(level: 'info' | 'warn', line: string): void
}

const DEFAULT_REQUEST_TIMEOUT_MS = 3_000
const RETRY_MS = 500

class NameServerLink {
  readonly #address: string
  readonly #options: RegistrarOptions
  #client: RemotingClient | undefined
  #wanted: Registration | undefined
  #last: Registration | undefined
  #running = false
  #closed = false
  #reachable: boolean | undefined
  #retry: NodeJS.Timeout | undefined

  constructor(address: string, options: RegistrarOptions) {
    this.#address = address
    this.#options = options
  }

  register(registration: Registration): void {
    if (this.#closed) return
    this.#wanted = registration
    this.#last = registration
    void this.#run()
  }

  async unregister(brokerId: number): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    const { brokerName, brokerAddress, clusterName } = this.#options
    if (this.#client === undefined) return
    const ext = { brokerName, brokerAddr: brokerAddress, clusterName, brokerId: String(brokerId) }
    await this.#client
      .request({ code: RequestCode.UNREGISTER_BROKER, ext }, this.#timeoutMs)
      .catch(() => undefined)
    await this.#client?.close()
  }

  async #run(): Promise<void> {
    if (this.#running || this.#closed) return
    this.#running = true
    clearTimeout(this.#retry)
    try {
      while (this.#wanted !== undefined && !this.#closed) {
        const registration = this.#wanted
        this.#wanted = undefined
        try {
          await this.#send(registration)
          this.#report(true, '')
        } catch (error) {
          this.#wanted ??= registration
          this.#disconnect()
          this.#report(false, error instanceof Error ? error.message : String(error))
          this.#retry = setTimeout(() => void this.#run(), RETRY_MS)
          return
        }
      }
    } finally {
      this.#running = false
    }
  }

  async #send(registration: Registration): Promise<void> {
    this.#client ??= await this.#connect()
    const answer = await this.#client.request(
      registerCommand(registration, this.#options),
      this.#timeoutMs,
    )
    if (answer.code !== 0) throw new Error(`code ${answer.code} ${answer.remark ?? ''}`)
  }

  get #timeoutMs(): number {
    return this.#options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS
  }

  /**
   * A connection that was cut off retransmits ever more rarely; a new one finds the way at once.
   */
  #disconnect(): void {
    const client = this.#client
    this.#client = undefined
    void client?.close()
  }

  async #connect(): Promise<RemotingClient> {
    const client = new RemotingClient({ connectTimeoutMs: this.#timeoutMs })
    await client.connect(this.#address)
    client.onClose = () => {
      if (this.#client !== client) return
      this.#client = undefined
      // A name server that came back knows nothing of us.
      if (this.#last !== undefined) this.register(this.#last)
    }
    return client
  }

  #report(reachable: boolean, problem: string): void {
    if (this.#reachable === reachable) return
    this.#reachable = reachable
    const { log } = this.#options
    if (reachable) log('info', `registered at name server ${this.#address}`)
    else
      log(
        'warn',
        `name server ${this.#address} does not take the registration: ${problem}; trying on`,
      )
  }
}

export class Registrar {
  readonly #links: NameServerLink[]
  readonly #timer: NodeJS.Timeout
  #last: Registration | undefined

  constructor(options: RegistrarOptions) {
    this.#links = options.nameServers.map((address) => new NameServerLink(address, options))
    this.#timer = setInterval(() => {
      if (this.#last !== undefined) this.register(this.#last)
    }, options.periodMs)
  }

  /** Tells every name server, without waiting for any. */
  register(registration: Registration): void {
    this.#last = registration
    for (const link of this.#links) link.register(registration)
  }

  /**
   * Takes the node out of every reachable name server. `brokerId` is what the node is now: some
   * name servers take out whoever has that id.
   */
  async close(brokerId: number): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#links.map((link) => link.unregister(brokerId)))
  }
}

function registerCommand(registration: Registration, options: RegistrarOptions): RequestInit {
  const { stateVersion, counter, timestampMs } = registration
  const dataVersion = { counter, stateVersion, timestamp: timestampMs }
  const body = stringifyJson({
    filterServerList: [],
    topicConfigSerializeWrapper: {
      dataVersion,
      mappingDataVersion: dataVersion,
      topicConfigTable: registration.topics,
      topicQueueMappingDetailMap: {},
      topicQueueMappingInfoMap: {},
    },
  })
  return {
    code: RequestCode.REGISTER_BROKER,
    ext: {
      brokerName: options.brokerName,
      brokerAddr: options.brokerAddress,
      clusterName: options.clusterName,
      haServerAddr: options.haServerAddress,
      brokerId: String(registration.brokerId),
      compressed: 'false',
      bodyCrc32: '0',
    },
    body: Buffer.from(body),
  }
}
