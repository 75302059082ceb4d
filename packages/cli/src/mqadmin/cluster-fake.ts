/** For tests: our own name server with brokers that answer what real brokers answered once. */
import { readFileSync } from 'node:fs'
import { type RunningNameServer, runNameServer } from '@ringledger/name-server'
import { RemotingClient, RemotingListener } from '@ringledger/network'
import {
  type CommandInit,
  decodeCommand,
  encodeCommand,
  isOneway,
  RESPONSE_FLAG,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@ringledger/protocol'
import { mqadminMain } from './main.ts'

type Answer = Omit<CommandInit, 'opaque' | 'flag'>
export type BrokerHandler = (request: RemotingCommand) => Answer

const HOST = '127.0.0.1'
const TIMEOUT_MS = 5_000
const CAPTURED = JSON.parse(
  readFileSync(new URL('../../testdata/broker-answers.json', import.meta.url), 'utf8'),
) as Record<string, string>

/** What a real 5.4.0 broker answered. */
export function captured(name: string): Answer {
  const frame = CAPTURED[name]
  if (frame === undefined) throw new Error(`no captured answer ${name}`)
  const { code, remark, ext, body } = decodeCommand(Buffer.from(frame, 'hex'))
  return { code, remark, ext, body }
}

export class FakeBroker {
  /** Requests in the order they came. */
  readonly requests: RemotingCommand[] = []
  readonly handlers: Map<number, BrokerHandler>
  readonly #listener: RemotingListener

  constructor(handlers: Iterable<readonly [number, BrokerHandler]>) {
    this.handlers = new Map(handlers)
    this.#listener = new RemotingListener(
      {
        onFrame: (connection, buffer, start, end) => {
          const request = decodeCommand(Buffer.from(buffer.subarray(start, end)))
          this.requests.push(request)
          if (isOneway(request)) return
          const { opaque } = request
          const answer = this.#answer(request)
          connection.outbox.write(encodeCommand({ ...answer, opaque, flag: RESPONSE_FLAG }))
        },
      },
      { host: HOST, port: 0 },
    )
  }

  get address(): string {
    return `${HOST}:${this.#listener.port}`
  }

  listen(): Promise<void> {
    return this.#listener.listen()
  }

  close(): Promise<void> {
    return this.#listener.close()
  }

  /** The ext fields of the requests with this code. */
  asked(code: number): Record<string, string>[] {
    return this.requests.filter((request) => request.code === code).map(({ ext }) => ext)
  }

  #answer(request: RemotingCommand): Answer {
    const handler = this.handlers.get(request.code)
    if (handler !== undefined) return handler(request)
    const remark = ` request type ${request.code} not supported`
    return { code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark }
  }
}

export interface Ran {
  code: number
  out: string
  err: string
}

export class FakeCluster {
  readonly #nameServer: RunningNameServer
  readonly #brokers: FakeBroker[] = []
  readonly #links: RemotingClient[] = []

  private constructor(nameServer: RunningNameServer) {
    this.#nameServer = nameServer
  }

  static async start(): Promise<FakeCluster> {
    return new FakeCluster(await runNameServer({ listenPort: 0, host: HOST }))
  }

  get nameServerAddress(): string {
    return `${HOST}:${this.#nameServer.port}`
  }

  /** Starts a broker and registers it under the id; only id 0 brings its topics along. */
  async addBroker(
    name: string,
    id: number,
    topics: readonly string[],
    handlers: Iterable<readonly [number, BrokerHandler]> = [],
  ): Promise<FakeBroker> {
    const broker = new FakeBroker(handlers)
    await broker.listen()
    this.#brokers.push(broker)
    await this.register(name, id, broker.address, topics)
    return broker
  }

  /** Registers an address, whether or not somebody listens there. */
  async register(
    name: string,
    id: number,
    address: string,
    topics: readonly string[],
  ): Promise<void> {
    const link = new RemotingClient()
    await link.connect(this.nameServerAddress)
    this.#links.push(link)
    const queues = { perm: 6, readQueueNums: 4, writeQueueNums: 4, topicSysFlag: 0 }
    const tables = ['SELF_TEST_TOPIC', 'TBW102', ...topics].map((topic) => [topic, queues] as const)
    const wrapper = { dataVersion: { counter: 1 }, topicConfigTable: Object.fromEntries(tables) }
    const answer = await link.request(
      {
        code: RequestCode.REGISTER_BROKER,
        ext: {
          brokerName: name,
          brokerAddr: address,
          clusterName: 'RaftCluster',
          haServerAddr: address,
          brokerId: id,
        },
        body: Buffer.from(JSON.stringify({ topicConfigSerializeWrapper: wrapper })),
      },
      TIMEOUT_MS,
    )
    if (answer.code !== ResponseCode.SUCCESS) throw new Error(answer.remark)
  }

  async askNameServer(code: number, ext: Record<string, string>): Promise<RemotingCommand> {
    const link = new RemotingClient()
    await link.connect(this.nameServerAddress)
    this.#links.push(link)
    return link.request({ code, ext }, TIMEOUT_MS)
  }

  /** Runs mqadmin against this cluster. */
  run(...argv: string[]): Promise<Ran> {
    return runAdmin(argv, { NAMESRV_ADDR: this.nameServerAddress })
  }

  async json(...argv: string[]): Promise<unknown> {
    const { code, out, err } = await this.run(...argv, '--json')
    if (code !== 0) throw new Error(err)
    return JSON.parse(out)
  }

  async close(): Promise<void> {
    for (const link of this.#links) await link.close()
    for (const broker of this.#brokers) await broker.close()
    await this.#nameServer.close()
  }
}

/** Runs mqadmin with output that is kept. */
export async function runAdmin(
  argv: string[],
  environment: Record<string, string> = {},
  isTTY = false,
): Promise<Ran> {
  let out = ''
  let err = ''
  const stdout = { isTTY, write: (text: string) => (out += text) }
  const stderr = { isTTY, write: (text: string) => (err += text) }
  const code = await mqadminMain(argv, { stdout, stderr }, environment)
  return { code, out, err }
}
