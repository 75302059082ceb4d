/**
 * Reading of a broker's registration (code 103): header fields, checksum, plain and compressed
 * bodies. Owns the rule that nothing unchecked reaches the route tables: names, counts, sizes and
 * numbers are verified here.
 */
import { crc32, inflateSync } from 'node:zlib'
import { LedgerError } from '@ringledger/base'
import {
  type DataVersion,
  extBool,
  extInt,
  extLong,
  parseLenientJson,
  type RemotingCommand,
} from '@ringledger/protocol'
import { readDataVersion } from './data-version.ts'
import { requireAddress, requireName } from './fields.ts'
import { isPlainName, isTopicName } from './names.ts'

/** What the route tables keep of a topic on one broker name. */
export interface TopicQueues {
  readonly readQueueNums: number
  readonly writeQueueNums: number
  readonly perm: number
  readonly topicSysFlag: number
}

export interface Registration {
  readonly clusterName: string
  readonly brokerName: string
  readonly brokerAddr: string
  readonly brokerId: number
  readonly haServerAddr: string
  readonly timeoutMs: number
  readonly enableActingMaster: boolean
  readonly zoneName: string | undefined
  readonly dataVersion: DataVersion
  readonly topics: ReadonlyMap<string, TopicQueues>
  /** Topics of the body that were left out because a name or number was not usable. */
  readonly refusedTopics: number
}

/** RocketMQ's time until a silent broker is taken out (milliseconds). */
export const BROKER_TIMEOUT_MS = 120_000
const MAX_TIMEOUT_MS = 24 * 3_600_000
/** Far above what a broker can hold, far below what could exhaust this process. */
const MAX_TOPICS_PER_BODY = 200_000
/** A compressed body may grow to this size (bytes), not further. */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024
const MAX_QUEUE_NUMS = 65_535
const CRC_MASK = 0x7fff_ffff

interface Body {
  dataVersion: DataVersion
  topics: Map<string, TopicQueues>
  refusedTopics: number
}

/**
 * Reads code 103 (reference §2.2).
 * @throws LedgerError BAD_REQUEST for fields that are missing or not usable, CORRUPT when the
 * body's CRC-32 (31 bits of it) is not the announced one or the body does not parse.
 */
export function readRegistration(request: RemotingCommand): Registration {
  const ext = request.ext
  const zoneName = ext.__ZONE_NAME
  if (zoneName !== undefined && zoneName !== '' && !isPlainName(zoneName)) {
    throw new LedgerError('BAD_REQUEST', '__ZONE_NAME is not usable')
  }
  const announcedCrc = extInt(ext, 'bodyCrc32', 0)
  if (announcedCrc !== 0 && (crc32(request.body) & CRC_MASK) !== announcedCrc) {
    throw new LedgerError('CORRUPT', 'crc32 not match')
  }
  const timeoutMs = extLong(ext, 'heartbeatTimeoutMillis', BROKER_TIMEOUT_MS)
  const body = readBody(request.body, extBool(ext, 'compressed', false))
  return {
    clusterName: requireName(ext, 'clusterName'),
    brokerName: requireName(ext, 'brokerName'),
    brokerAddr: requireAddress(ext, 'brokerAddr'),
    brokerId: readBrokerId(ext),
    haServerAddr: ext.haServerAddr ?? '',
    timeoutMs: timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS ? timeoutMs : BROKER_TIMEOUT_MS,
    enableActingMaster: extBool(ext, 'enableActingMaster', false),
    zoneName: zoneName === '' ? undefined : zoneName,
    ...body,
  }
}

function readBrokerId(ext: Readonly<Record<string, string>>): number {
  const brokerId = extLong(ext, 'brokerId')
  if (brokerId < 0) throw new LedgerError('BAD_REQUEST', 'a broker id is 0 or more')
  return brokerId
}

function readBody(bytes: Buffer, compressed: boolean): Body {
  if (bytes.length === 0) {
    const dataVersion = { counter: 0, stateVersion: 0, timestamp: 0 }
    return { dataVersion, topics: new Map(), refusedTopics: 0 }
  }
  try {
    return compressed ? readCompressedBody(bytes) : readJsonBody(bytes)
  } catch (error) {
    if (error instanceof LedgerError) throw error
    throw new LedgerError('CORRUPT', `registration body: ${(error as Error).message}`)
  }
}

function readJsonBody(bytes: Buffer): Body {
  const body = parseLenientJson(bytes.toString('utf8')) as Record<string, unknown> | null
  const wrapper = body?.topicConfigSerializeWrapper as Record<string, unknown> | undefined
  if (typeof wrapper !== 'object' || wrapper === null) {
    throw new LedgerError('CORRUPT', 'registration body has no topicConfigSerializeWrapper')
  }
  const table = wrapper.topicConfigTable
  const collector = new TopicCollector()
  if (typeof table === 'object' && table !== null) {
    for (const [name, config] of Object.entries(table)) {
      collector.add(name, (config ?? {}) as Record<string, unknown>)
    }
  }
  return { dataVersion: readDataVersion(wrapper.dataVersion), ...collector.result() }
}

/**
 * One zlib stream of length-prefixed parts: version, topic lines; what follows is of no use here.
 */
function readCompressedBody(bytes: Buffer): Body {
  const inflated = inflateSync(bytes, { maxOutputLength: MAX_INFLATED_BYTES })
  const parts = new PartReader(inflated)
  const dataVersion = readDataVersion(parseLenientJson(parts.text()))
  const collector = new TopicCollector()
  const topicCount = parts.count()
  for (let topic = 0; topic < topicCount; topic++) collector.addLine(parts.text())
  return { dataVersion, ...collector.result() }
}

/** Walks `int32 length | bytes` parts without ever leaving the buffer. */
class PartReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  count(): number {
    if (this.#offset + 4 > this.#bytes.length) {
      throw new LedgerError('CORRUPT', 'registration body ends early')
    }
    const value = this.#bytes.readInt32BE(this.#offset)
    this.#offset += 4
    if (value < 0 || value > this.#bytes.length) {
      throw new LedgerError('CORRUPT', `registration body has a length of ${value}`)
    }
    return value
  }

  text(): string {
    const sizeBytes = this.count()
    const start = this.#offset
    if (start + sizeBytes > this.#bytes.length) {
      throw new LedgerError('CORRUPT', 'registration body ends early')
    }
    this.#offset = start + sizeBytes
    return this.#bytes.toString('utf8', start, start + sizeBytes)
  }
}

class TopicCollector {
  readonly #topics = new Map<string, TopicQueues>()
  #refused = 0

  add(name: string, config: Record<string, unknown>): void {
    const readQueueNums = Number(config.readQueueNums)
    const writeQueueNums = Number(config.writeQueueNums)
    const perm = Number(config.perm)
    const topicSysFlag = Number(config.topicSysFlag ?? 0)
    const usable =
      isTopicName(name) &&
      isCount(readQueueNums, MAX_QUEUE_NUMS) &&
      isCount(writeQueueNums, MAX_QUEUE_NUMS) &&
      isCount(perm, 0xffff) &&
      isCount(topicSysFlag, 0x7fff_ffff)
    if (!usable) {
      this.#refused++
      return
    }
    if (this.#topics.size >= MAX_TOPICS_PER_BODY) {
      throw new LedgerError(
        'TOO_LARGE',
        `more than ${MAX_TOPICS_PER_BODY} topics in a registration`,
      )
    }
    this.#topics.set(name, { readQueueNums, writeQueueNums, perm, topicSysFlag })
  }

  /** `name readQueueNums writeQueueNums perm topicFilterType[ attributes]` */
  addLine(line: string): void {
    const [name = '', readQueueNums, writeQueueNums, perm] = line.split(' ', 4)
    this.add(name, { readQueueNums, writeQueueNums, perm })
  }

  result(): { topics: Map<string, TopicQueues>; refusedTopics: number } {
    return { topics: this.#topics, refusedTopics: this.#refused }
  }
}

function isCount(value: number, highest: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= highest
}
