/**
 * Whole nodes for tests: real threads, sockets and files in this process, and clients that speak to
 * them. A group's nodes differ in ports and directory only.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, LedgerError } from '@ringledger/base'
import { probePort, RemotingClient } from '@ringledger/network'
import {
  decodeMessage,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
  type StoredMessage,
} from '@ringledger/protocol'
import type { NodeSettings, PeerAddress } from './node-settings.ts'
import { defaultSettings } from './settings.ts'
import { type RunningBroker, startBroker } from './start-broker.ts'

const HOST = '127.0.0.1'
/** Below the ports that Linux gives to outgoing connections. */
const LOWEST_PORT = 20_000
const PORTS = 12_000
const MIB = 1024 * 1024
const REQUEST_TIMEOUT_MS = 20_000
const NO_MESSAGE_CODES: readonly number[] = [
  ResponseCode.PULL_NOT_FOUND,
  ResponseCode.PULL_OFFSET_MOVED,
  ResponseCode.PULL_RETRY_IMMEDIATELY,
]

export interface TestNode {
  readonly settings: NodeSettings
  readonly broker: RunningBroker
}

export class TestNodes {
  readonly nodes: TestNode[] = []
  /** What the nodes have logged. */
  readonly lines: string[] = []
  readonly #directory = mkdtempSync(join(tmpdir(), 'broker-nodes-'))
  readonly #clients: RemotingClient[] = []
  /** Woken by each line of a log. */
  readonly #looking: (() => void)[] = []

  /** Starts a group of `count` nodes and waits until it takes writes. */
  async start(count: number, override: Partial<NodeSettings>): Promise<void> {
    const peers: PeerAddress[] = []
    for (let at = 0; at < count; at++) {
      peers.push({ id: `n${at}`, host: HOST, port: await freePort() })
    }
    // All at once: a member's first start waits for the others.
    this.nodes.push(
      ...(await Promise.all(peers.map(({ id }) => this.#startOne(id, peers, override)))),
    )
    await Promise.all(this.nodes.map(({ broker }) => broker.whenServing))
    // A new leader writes its system topics first, so they are there once this one is.
    const client = await this.client(await this.leader())
    await client.createTopic('started')
  }

  async #startOne(
    id: string,
    peers: readonly PeerAddress[],
    override: Partial<NodeSettings>,
  ): Promise<TestNode> {
    const settings = {
      ...nodeSettings(this.#directory, id, peers, await freePort()),
      ...override,
    }
    const broker = await startBroker(settings, (level, line) => {
      this.lines.push(`${id} ${level} ${line}`)
      for (const look of this.#looking.splice(0)) look()
    })
    return { settings, broker }
  }

  /** The node that takes writes, once there is one. */
  async leader(): Promise<TestNode> {
    for (;;) {
      const leader = this.nodes.find(({ broker }) => broker.status().serving)
      if (leader !== undefined) return leader
      await new Promise<void>((resolve) => this.#looking.push(resolve))
    }
  }

  async client(node: TestNode): Promise<TestClient> {
    const client = new RemotingClient({})
    await client.connect(`${HOST}:${node.settings.listenPort}`)
    this.#clients.push(client)
    return new TestClient(client)
  }

  async stop(node: TestNode): Promise<void> {
    this.nodes.splice(this.nodes.indexOf(node), 1)
    await node.broker.close()
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
    await Promise.all(this.nodes.map(({ broker }) => broker.close()))
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

export interface Stored {
  readonly queueId: number
  readonly queueOffset: number
}

export class TestClient {
  readonly remoting: RemotingClient

  constructor(remoting: RemotingClient) {
    this.remoting = remoting
  }

  async createTopic(topic: string): Promise<void> {
    const ext = {
      topic,
      defaultTopic: 'TBW102',
      readQueueNums: '4',
      writeQueueNums: '4',
      perm: '6',
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: '0',
      order: 'false',
    }
    const code = RequestCode.UPDATE_AND_CREATE_TOPIC
    const answer = await this.remoting.request({ code, ext }, REQUEST_TIMEOUT_MS)
    assert(answer.code === ResponseCode.SUCCESS, `topic: ${answer.code} ${answer.remark}`)
  }

  send(topic: string, queueId: number, body: string | Buffer): Promise<RemotingCommand> {
    const ext = {
      a: 'producers',
      b: topic,
      c: 'TBW102',
      d: '4',
      e: String(queueId),
      f: '0',
      g: String(Date.now()),
      h: '0',
      i: '',
      j: '0',
      k: 'false',
      m: 'false',
    }
    const code = RequestCode.SEND_MESSAGE_V2
    return this.remoting.request({ code, ext, body: Buffer.from(body) }, REQUEST_TIMEOUT_MS)
  }

  /** @throws LedgerError BUSY with the remark when the message was not stored. */
  async store(topic: string, queueId: number, body: string | Buffer): Promise<Stored> {
    const answer = await this.send(topic, queueId, body)
    if (answer.code !== ResponseCode.SUCCESS) {
      throw new LedgerError('BUSY', `${answer.code} ${answer.remark}`)
    }
    return { queueId: Number(answer.ext.queueId), queueOffset: Number(answer.ext.queueOffset) }
  }

  /** One pull; waits up to `suspendMs` for a first message. */
  async pull(
    topic: string,
    queueId: number,
    offset: number,
    suspendMs = 0,
  ): Promise<StoredMessage[]> {
    const suspend = suspendMs > 0 ? 2 : 0
    const ext = {
      consumerGroup: 'readers',
      topic,
      queueId: String(queueId),
      queueOffset: String(offset),
      maxMsgNums: '32',
      sysFlag: String(4 | suspend),
      commitOffset: '0',
      suspendTimeoutMillis: String(suspendMs),
      subscription: '*',
      subVersion: '0',
      expressionType: 'TAG',
    }
    const code = RequestCode.PULL_MESSAGE
    const answer = await this.remoting.request({ code, ext }, REQUEST_TIMEOUT_MS)
    if (NO_MESSAGE_CODES.includes(answer.code)) return []
    assert(answer.code === ResponseCode.SUCCESS, `pull: ${answer.code} ${answer.remark}`)
    const messages: StoredMessage[] = []
    for (let at = 0; at < answer.body.length; at += answer.body.readInt32BE(at)) {
      messages.push(decodeMessage(answer.body, at))
    }
    return messages
  }

  /** The bodies of a queue from its start; the place in the list is the queue offset. */
  async readQueue(topic: string, queueId: number, count: number): Promise<string[]> {
    const bodies: string[] = []
    while (bodies.length < count) {
      for (const message of await this.pull(topic, queueId, bodies.length, 5_000)) {
        assert(message.queueOffset === bodies.length, 'a queue has no gap')
        bodies.push(message.body.toString())
      }
    }
    return bodies
  }
}

async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = LOWEST_PORT + Math.floor(Math.random() * PORTS)
    try {
      return await probePort({ host: HOST, port })
    } catch {
      // Somebody has it.
    }
  }
  throw new Error('no free port found')
}

function nodeSettings(
  directory: string,
  id: string,
  peers: readonly PeerAddress[],
  listenPort: number,
): NodeSettings {
  const storePathRootDir = join(directory, id)
  return {
    ...defaultSettings({
      brokerName: 'Tested',
      listenPort,
      storePathRootDir,
      storePathDLedgerCommitLog: join(storePathRootDir, `dledger-${id}`, 'data'),
    }),
    storePathRootDir,
    storePathDLedgerCommitLog: join(storePathRootDir, `dledger-${id}`, 'data'),
    storePathCommitLog: join(storePathRootDir, 'commitlog'),
    nameServers: [],
    bindAddress: HOST,
    dLegerGroup: 'Tested',
    dLegerSelfId: id,
    peers,
    preferredLeaderIds: [],
    electionTimeoutMs: 500,
    heartbeatIntervalMs: 100,
    flushDiskType: 'SYNC_FLUSH',
    mappedFileSizeCommitLog: 64 * MIB,
    mappedFileSizeConsumeQueue: 20 * 30_000,
    maxHashSlotNum: 10_000,
    maxIndexNum: 40_000,
    registerNameServerPeriodMs: 30_000,
    threads: 'folded',
    networkThreads: 1,
    logArenaSizeBytes: 32 * MIB,
    minimumFreeDiskBytes: 256 * MIB,
    diskSpaceWarningLevelRatio: 90,
    scrubBytesPerSecond: 0,
    directLogWrites: true,
  }
}
