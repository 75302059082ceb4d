/** The documented files, running on three servers with addresses of their own. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { OwnProcess } from '../harness/line-process.ts'
import { ROOT, runCommand } from '../support/run-command.ts'
import { Network, type Server } from './namespaces.ts'
import { ServerProcess } from './server-process.ts'

const FILES = join(ROOT, 'docs/operate/three-servers')
const CLIENT = join(ROOT, 'test/deploy/client.ts')
const CLIENT_NAME = 'client'
const ATTEMPTS = 200
export const NAME_SERVERS = '10.0.0.11:9876;10.0.0.12:9876;10.0.0.13:9876'

export class Deployment {
  readonly servers: readonly Server[]
  readonly network: Network
  readonly #directory: string

  private constructor(network: Network, directory: string) {
    this.network = network
    this.#directory = directory
    this.servers = [0, 1, 2].map((index) => network.join(`n${index}`, `10.0.0.1${index + 1}`))
    network.join(CLIENT_NAME, '10.0.0.21')
  }

  /** Resolves when all three brokers serve; everything ends with the test. */
  static async start(context: TestContext): Promise<Deployment> {
    const directory = mkdtempSync(join(tmpdir(), 'three-servers-'))
    const network = new Network()
    const started: ServerProcess[] = []
    context.after(async () => {
      await Promise.all(started.map((process) => process.stop('SIGKILL')))
      network.remove()
      rmSync(directory, { recursive: true, force: true })
    })
    const deployment = new Deployment(network, directory)
    const start = (name: string, command: string, config: string): ServerProcess => {
      const line = [...network.on(name), join(ROOT, 'bin', command), '-c', config]
      const server = new ServerProcess('ip', line)
      started.push(server)
      return server
    }
    const files = deployment.servers.map((_, index) => writeFiles(directory, index))
    const nameServers = files.map(({ nameServer }, at) => start(`n${at}`, 'mqnamesrv', nameServer))
    await Promise.all(nameServers.map((server) => server.reached('listening')))
    const brokers = files.map(({ broker }, at) => start(`n${at}`, 'mqbroker', broker))
    await Promise.all(brokers.map((server) => server.reached('serving')))
    return deployment
  }

  /** Broker id by address, asked again until `accept` takes it; bounded by its attempts. */
  async clusterUntil(accept: (ids: Map<string, number>) => boolean): Promise<Map<string, number>> {
    let ids = new Map<string, number>()
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const table = await this.admin('clusterList')
      const rows = table.matchAll(/RaftNode00\s+(\d+)\s+([\d.]+):10911/g)
      ids = new Map([...rows].map(([, id, address]) => [address ?? '', Number(id)]))
      if (accept(ids)) return ids
    }
    return assert.fail(`the cluster table stays ${JSON.stringify([...ids])}`)
  }

  /** `mqadmin` on the client's server. */
  async admin(...args: string[]): Promise<string> {
    const admin = join(ROOT, 'bin/mqadmin')
    const line = [...this.network.on(CLIENT_NAME), admin, ...args, '-n', NAME_SERVERS]
    const { code, stdout, stderr } = await runCommand('ip', line)
    assert.equal(code, 0, stderr)
    return stdout
  }

  /** `client.ts` on a server. */
  client(context: TestContext, on: string, ...args: string[]): DrivenClient {
    const client = new DrivenClient(
      [...this.network.on(on), process.execPath, CLIENT, ...args],
      join(this.#directory, `client-${on}.log`),
    )
    context.after(() => client.end())
    return client
  }

  load(context: TestContext, topic: string): DrivenClient {
    return this.client(context, CLIENT_NAME, 'load', NAME_SERVERS, topic)
  }
}

/** A client process that says lines of JSON. */
export class DrivenClient {
  readonly #process: OwnProcess
  readonly #said: Record<string, unknown>[] = []
  readonly #logPath: string
  #wake: () => void = () => {}

  constructor(line: readonly string[], logPath: string) {
    this.#logPath = logPath
    this.#process = new OwnProcess({ command: 'ip', args: line, logPath }, (text) => {
      this.#said.push(JSON.parse(text))
      this.#wake()
    })
    void this.#process.ended().then(() => this.#wake())
  }

  /** The next line that it says, after it was told `line`. */
  async answer(line = ''): Promise<Record<string, unknown>> {
    if (line !== '') this.#process.write(line)
    while (this.#said.length === 0) {
      if (!this.#process.runs) throw new Error(readFileSync(this.#logPath, 'utf8'))
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#said.shift() ?? {}
  }

  async end(): Promise<void> {
    await this.#process.end('SIGKILL')
  }
}

export function leaderOf(ids: ReadonlyMap<string, number>): string | undefined {
  return [...ids].find(([, id]) => id === 0)?.[0]
}

/** The documented files; only the data directory is another. */
function writeFiles(directory: string, index: number): { broker: string; nameServer: string } {
  const own = join(directory, `server-${index}`)
  mkdirSync(own)
  const copy = (name: string): string => {
    const text = readFileSync(join(FILES, name), 'utf8').replaceAll('/var/lib/ringledger', own)
    writeFileSync(join(own, name), text)
    return join(own, name)
  }
  return { broker: copy(`broker-n${index}.conf`), nameServer: copy('namesrv.conf') }
}
