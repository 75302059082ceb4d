/**
 * Apache RocketMQ 5.4.0 in DLedger mode: a name server and three brokers as their users run them.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../../test/harness/eventually.ts'
import { OwnProcess } from '../../test/harness/line-process.ts'
import { brokerIds } from '../../test/harness/name-server.ts'
import { freeBasePort } from '../../test/support/ports.ts'
import { createTopics } from '../load/topics.ts'
import type { Peer, RunningPeer } from './peer.ts'
import { apacheClassPath } from './program-cache.ts'
import { QUEUES, remotingPeer } from './remoting-peer.ts'

const HOST = '127.0.0.1'
const NODES = [0, 1, 2] as const
const GROUP = 'RaftNode00'
const TOPIC = 'Load'
const START_LIMIT_MS = 120_000
/** A broker also takes the port two below (for what is urgent) and the one above (old replicas). */
const BROKER_OFFSET = 10
const PEER_OFFSET = 5
const PORT_OFFSETS: readonly number[] = [
  0,
  ...NODES.map((node) => PEER_OFFSET + node),
  ...NODES.flatMap((node) => [-2, 0, 1].map((more) => (node + 1) * BROKER_OFFSET + more)),
]
/** What its own start script opens of the JDK. */
const OPENED: readonly string[] = [
  '--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED',
  ...['java.nio', 'sun.nio.ch', 'java.lang', 'java.util'].map(
    (name) => `--add-opens=java.base/${name}=ALL-UNNAMED`,
  ),
]
const NAME_SERVER_MEMORY: readonly string[] = ['-Xms256m', '-Xmx512m']
const BROKER_MEMORY: readonly string[] = ['-Xms1g', '-Xmx1500m', '-XX:MaxDirectMemorySize=2g']

export function apache({ batchPush }: { batchPush: boolean }): Peer {
  return {
    name: batchPush ? 'Apache DLedger, batch push' : 'Apache DLedger',
    warmShare: 1,
    start: () => start(batchPush),
  }
}

async function start(batchPush: boolean): Promise<RunningPeer> {
  const classPath = apacheClassPath()
  const basePort = await freeBasePort(PORT_OFFSETS)
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-bench-apache-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  process.once('exit', remove)
  const started: OwnProcess[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((one) => one.end('SIGKILL')))
    process.off('exit', remove)
    remove()
  }
  try {
    const java = new JavaGroup(directory, classPath, basePort, batchPush)
    started.push(java.nameServer(), ...NODES.map((node) => java.broker(node)))
    const leader = await leaderOf(`${HOST}:${basePort}`, started)
    await createTopics(leader, [TOPIC], QUEUES)
    return remotingPeer(leader, TOPIC, stop)
  } catch (error) {
    process.stderr.write(logs(directory))
    await stop()
    throw error
  }
}

/** Resolves when all are registered and one of them leads. @throws Error when a process ends. */
function leaderOf(nameServer: string, started: readonly OwnProcess[]): Promise<string> {
  const ended = Promise.race(started.map((one) => one.ended())).then(() => {
    throw new Error('a process of Apache RocketMQ has ended')
  })
  // It does when it is stopped, long after the race.
  ended.catch(() => {})
  const leader = eventually(
    async () => {
      const known = await brokerIds(nameServer, GROUP).catch(() => new Map<number, string>())
      return known.size === NODES.length ? known.get(0) : undefined
    },
    { what: 'a leader of Apache RocketMQ', limitMs: START_LIMIT_MS },
  )
  return Promise.race([leader, ended])
}

class JavaGroup {
  readonly #directory: string
  readonly #classPath: string
  readonly #basePort: number
  readonly #batchPush: boolean

  constructor(directory: string, classPath: string, basePort: number, batchPush: boolean) {
    this.#directory = directory
    this.#classPath = classPath
    this.#basePort = basePort
    this.#batchPush = batchPush
    mkdirSync(join(directory, 'home'))
  }

  nameServer(): OwnProcess {
    const settings = { listenPort: String(this.#basePort), bindAddress: HOST }
    const main = 'org.apache.rocketmq.namesrv.NamesrvStartup'
    return this.#run('namesrv', NAME_SERVER_MEMORY, main, settings)
  }

  broker(node: number): OwnProcess {
    const store = join(this.#directory, `n${node}`)
    const peers = NODES.map((peer) => `n${peer}-${HOST}:${this.#basePort + PEER_OFFSET + peer}`)
    return this.#run(`n${node}`, BROKER_MEMORY, 'org.apache.rocketmq.broker.BrokerStartup', {
      brokerClusterName: 'RaftCluster',
      brokerName: GROUP,
      brokerIP1: HOST,
      bindAddress: HOST,
      listenPort: String(this.#basePort + (node + 1) * BROKER_OFFSET),
      namesrvAddr: `${HOST}:${this.#basePort}`,
      storePathRootDir: store,
      storePathCommitLog: join(store, 'commitlog'),
      enableDLegerCommitLog: 'true',
      dLegerGroup: GROUP,
      dLegerPeers: peers.join(';'),
      dLegerSelfId: `n${node}`,
      sendMessageThreadPoolNums: '4',
      enableBatchPush: String(this.#batchPush),
    })
  }

  #run(
    name: string,
    memory: readonly string[],
    main: string,
    settings: Readonly<Record<string, string>>,
  ): OwnProcess {
    const configPath = join(this.#directory, `${name}.conf`)
    const lines = Object.entries(settings).map((pair) => pair.join('='))
    writeFileSync(configPath, `${lines.join('\n')}\n`)
    const home = join(this.#directory, 'home')
    const options = [...memory, ...OPENED, `-Duser.home=${home}`, '-cp', this.#classPath]
    return new OwnProcess({
      command: 'java',
      args: [...options, main, '-c', configPath],
      cwd: this.#directory,
      env: { ...process.env, ROCKETMQ_HOME: this.#directory },
      logPath: join(this.#directory, `${name}.log`),
    })
  }
}

function logs(directory: string): string {
  const names = ['namesrv', ...NODES.map((node) => `n${node}`)]
  return names.map((name) => `--- ${name}\n${tail(join(directory, `${name}.log`))}\n`).join('')
}

function tail(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-20).join('\n')
  } catch {
    return ''
  }
}
