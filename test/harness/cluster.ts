/**
 * A name server and a group of brokers as processes of their own, started through the shipped
 * commands on free ports, with data in a directory that goes away with them. Owns the rule that
 * only its own processes are ever signalled.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before } from 'node:test'
import { freeBasePort } from '../support/ports.ts'
import { ROOT } from '../support/run-command.ts'
import { eventually } from './eventually.ts'
import { OwnProcess } from './line-process.ts'
import { brokerIds, createTopic, leaderOf } from './name-server.ts'

export const CLUSTER_NAME = 'TestCluster'
export const BROKER_NAME = 'TestGroup'
const HOST = '127.0.0.1'
/** The Java client also opens listenPort - 2 when asked to; so ten apart. */
const BROKER_PORT_STEP = 10
const FIRST_PEER_PORT = 5
const PORT_OFFSETS: readonly number[] = [0, 5, 6, 7, 10, 20, 30]
const SEGMENT_BYTES = 64 * 1024 * 1024
const START_LIMIT_MS = 30_000
const SHOWN_LOG_LINES = 40

export interface ClusterOptions {
  readonly nodes: 1 | 3
  /** More lines for every broker.conf. */
  readonly settings?: Readonly<Record<string, string>>
  /** Nodes that may end while they start, and are out then. */
  readonly mayEnd?: readonly string[]
  /** Nodes that are started by the test itself. */
  readonly later?: readonly string[]
  /** Fills the store of a node before its first start. */
  readonly prepare?: (id: string, store: string) => void
  /** More environment of a broker, asked at each of its starts. */
  readonly environment?: (id: string, directory: string) => NodeJS.ProcessEnv
}

interface Broker {
  readonly id: string
  readonly address: string
  readonly configPath: string
  process: OwnProcess | undefined
  /** Killed or stopped: whatever a name server says, it does not lead. */
  out: boolean
}

export class Cluster {
  readonly nameServer: string
  readonly directory: string
  readonly #nodes: readonly Broker[]
  readonly #environment: ClusterOptions['environment']
  readonly #mayEnd: readonly string[]
  readonly #removeData = (): void => rmSync(this.directory, { recursive: true, force: true })
  #nameServerProcess: OwnProcess | undefined

  private constructor(directory: string, basePort: number, options: ClusterOptions) {
    this.directory = directory
    this.#environment = options.environment
    this.#mayEnd = options.mayEnd ?? []
    process.once('exit', this.#removeData)
    this.nameServer = `${HOST}:${basePort}`
    this.#nodes = Array.from({ length: options.nodes }, (_, index) => ({
      id: `n${index}`,
      address: `${HOST}:${basePort + (index + 1) * BROKER_PORT_STEP}`,
      configPath: join(directory, `n${index}.conf`),
      process: undefined,
      out: options.later?.includes(`n${index}`) === true,
    }))
    for (const [index, { configPath, address }] of this.#nodes.entries()) {
      writeConfig(configPath, {
        ...this.#common(basePort, address.slice(HOST.length + 1)),
        storePathRootDir: join(directory, `n${index}`),
        dLegerSelfId: `n${index}`,
        ...options.settings,
      })
      options.prepare?.(`n${index}`, join(directory, `n${index}`))
    }
  }

  /** Resolves when the nodes that are not for later lead and are registered. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const directory = mkdtempSync(join(tmpdir(), 'cluster-'))
    mkdirSync(join(directory, 'logs'))
    const cluster = new Cluster(directory, await freeBasePort(PORT_OFFSETS), options)
    try {
      await cluster.#start()
    } catch (error) {
      process.stderr.write(cluster.logs())
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** `storePathRootDir` of a node. */
  storeOf(id: string): string {
    return join(this.directory, id)
  }

  get ids(): readonly string[] {
    return this.#nodes.map(({ id }) => id)
  }

  get runningIds(): readonly string[] {
    return this.#nodes.filter(({ out }) => !out).map(({ id }) => id)
  }

  addressOf(id: string): string {
    return this.#node(id).address
  }

  /** Where the others of the group connect. */
  peerAddressOf(id: string): string {
    const basePort = Number(this.nameServer.slice(HOST.length + 1))
    return `${HOST}:${basePort + FIRST_PEER_PORT + this.ids.indexOf(id)}`
  }

  /** @throws Error when it does not run. */
  pidOf(id: string): number {
    const pid = this.#node(id).process?.pid
    if (pid === undefined) throw new Error(`${id} does not run`)
    return pid
  }

  /** The whole log of a node, or of `namesrv`. */
  logOf(name: string): string {
    return readFileSync(this.#logPath(name), 'utf8')
  }

  /** The node that leads and is registered as broker id 0, as soon as there is one. */
  leader(): Promise<string> {
    return eventually(
      async () => {
        const address = await leaderOf(this.nameServer, CLUSTER_NAME)
        return this.#nodes.find((node) => node.address === address && !node.out)?.id
      },
      { what: 'a registered leader', limitMs: START_LIMIT_MS },
    )
  }

  /** Resolves when every node that runs is registered, one of them as leader. */
  async whole(): Promise<void> {
    const wanted = this.#nodes.filter((node) => !node.out).map(({ address }) => address)
    await this.leader()
    await eventually(
      async () => {
        const known = await brokerIds(this.nameServer, BROKER_NAME)
        const addresses = new Set(known.values())
        return known.has(0) && wanted.every((address) => addresses.has(address)) ? true : undefined
      },
      { what: 'the registration of all nodes', limitMs: START_LIMIT_MS },
    )
  }

  /** Signals one node; after one that ends it, resolves when it has ended. */
  async kill(id: string, signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const node = this.#node(id)
    node.out = signal !== 'SIGCONT'
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await node.process?.end(signal)
    else node.process?.signal(signal)
  }

  /** Resolves with the exit code of a node that ends by itself; null: by a signal. */
  async ended(id: string): Promise<number | null> {
    const node = this.#node(id)
    await node.process?.ended()
    node.out = true
    return node.process?.exitCode ?? null
  }

  /**
   * Like restart, without waiting for its registration. @throws Error when it ended before that
   */
  async boot(id: string): Promise<void> {
    await this.#startNode(this.#node(id))
  }

  /** Starts a node that has ended, with the store that it left. */
  async restart(id: string): Promise<void> {
    const node = this.#node(id)
    await this.#startNode(node)
    await this.whole()
  }

  /** kill -9 of the name server and a new one in its place; resolves when all have registered. */
  async replaceNameServer(): Promise<void> {
    await this.#nameServerProcess?.end('SIGKILL')
    await this.#startNameServer()
    await this.whole()
  }

  /** Makes a topic at the leader and resolves when its route is known. */
  async createTopic(topic: string, queues = 8): Promise<void> {
    await createTopic(this.addressOf(await this.leader()), this.nameServer, topic, queues)
  }

  /** The last lines of every log, for a test that failed. */
  logs(): string {
    const names = ['namesrv', ...this.ids]
    return names.map((name) => `--- ${name}\n${tail(this.#logPath(name))}\n`).join('')
  }

  /** Ends all processes; the data goes too, unless it is to be looked at. */
  async stop({ keepData = false }: { keepData?: boolean } = {}): Promise<void> {
    const processes = [this.#nameServerProcess, ...this.#nodes.map(({ process }) => process)]
    await Promise.all(processes.map((process) => process?.end('SIGKILL')))
    process.off('exit', this.#removeData)
    if (!keepData) this.#removeData()
  }

  async #start(): Promise<void> {
    writeConfig(join(this.directory, 'namesrv.conf'), {
      listenPort: this.nameServer.slice(HOST.length + 1),
      bindAddress: HOST,
      kvConfigPath: join(this.directory, 'kvConfig.json'),
    })
    await this.#startNameServer()
    const first = this.#nodes.filter((node) => !node.out)
    await Promise.all(first.map((node) => this.#startFirst(node)))
    if (first.length > 0) await this.whole()
  }

  async #startFirst(node: Broker): Promise<void> {
    try {
      await this.#startNode(node)
    } catch (error) {
      if (!this.#mayEnd.includes(node.id)) throw error
      node.out = true
    }
  }

  async #startNameServer(): Promise<void> {
    const configPath = join(this.directory, 'namesrv.conf')
    this.#nameServerProcess = await this.#run('mqnamesrv', 'namesrv', configPath)
  }

  async #startNode(node: Broker): Promise<void> {
    node.out = false
    const environment = this.#environment?.(node.id, this.directory)
    const onStarted = (started: OwnProcess): void => {
      node.process = started
    }
    node.process = await this.#run('mqbroker', node.id, node.configPath, onStarted, environment)
  }

  /** Resolves when the command serves. */
  async #run(
    command: string,
    name: string,
    configPath: string,
    onStarted: (process: OwnProcess) => void = () => {},
    environment: NodeJS.ProcessEnv = {},
  ): Promise<OwnProcess> {
    const started = new OwnProcess({
      command: process.execPath,
      args: [join(ROOT, `packages/cli/bin/${command}.mjs`), '-c', configPath],
      cwd: this.directory,
      env: { ...process.env, ...environment, RINGLEDGER_READY_FD: '3' },
      logPath: this.#logPath(name),
    })
    onStarted(started)
    const serving = new Promise<boolean>((resolve) => {
      started.readSteps((step) => {
        if (step === 'serving') resolve(true)
      })
    })
    const serves = await Promise.race([serving, started.ended().then(() => false)])
    if (!serves) throw new Error(`${name} ended:\n${tail(this.#logPath(name))}`)
    return started
  }

  #common(basePort: number, listenPort: string): Record<string, string> {
    const peers = this.#nodes.map(
      ({ id }, index) => `${id}-${HOST}:${basePort + FIRST_PEER_PORT + index}`,
    )
    return {
      brokerClusterName: CLUSTER_NAME,
      brokerName: BROKER_NAME,
      brokerIP1: HOST,
      bindAddress: HOST,
      listenPort,
      namesrvAddr: this.nameServer,
      enableDLegerCommitLog: 'true',
      dLegerGroup: BROKER_NAME,
      dLegerPeers: peers.join(';'),
      mappedFileSizeCommitLog: String(SEGMENT_BYTES),
    }
  }

  #logPath(name: string): string {
    return join(this.directory, 'logs', `${name}.log`)
  }

  #node(id: string): Broker {
    const node = this.#nodes.find((candidate) => candidate.id === id)
    if (node === undefined) throw new Error(`no node ${id}`)
    return node
  }
}

/**
 * One cluster for all tests of a file; its logs are shown when one of them failed. Call the result
 * inside of tests. `prepare` runs before them (hooks of a file do not wait for each other).
 */
export function useCluster(
  options: ClusterOptions,
  prepare: (cluster: Cluster) => Promise<void> = async () => {},
): () => Cluster {
  let cluster: Cluster | undefined
  let failed = false
  before(async () => {
    cluster = await Cluster.start(options)
    await prepare(cluster)
  })
  afterEach((context) => {
    if ('passed' in context && context.passed === false) failed = true
  })
  after(async () => {
    if (failed && cluster !== undefined) process.stderr.write(cluster.logs())
    await cluster?.stop()
  })
  return () => {
    if (cluster === undefined) throw new Error('the cluster did not start')
    return cluster
  }
}

function writeConfig(path: string, settings: Readonly<Record<string, string>>): void {
  writeFileSync(
    path,
    `${Object.entries(settings)
      .map((pair) => pair.join('='))
      .join('\n')}\n`,
  )
}

function tail(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-SHOWN_LOG_LINES).join('\n')
  } catch {
    return ''
  }
}
