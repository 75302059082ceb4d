/**
 * From a broker.conf to settings that can be used, or to every reason at once why not.
 * Owns the promise that nothing in the file is dropped in silence.
 */
import { join } from 'node:path'
import { type ConfigRemark, formatSettings, readSettings } from '@ringledger/base'
import type { NodeSettings, PeerAddress } from '@ringledger/broker'
import { findConflicts } from './broker-conflicts.ts'
import { type BrokerKeys, brokerSchema } from './broker-keys.ts'
import { type ConfigEnvironment, expandPath, systemEnvironment } from './environment.ts'
import { BROKER_KEYS } from './known-keys.ts'
import { parsePeers } from './peers.ts'
import { type ConfigSource, readConfigSource, refuse, sayRemarks } from './source.ts'
import { splitList } from './value-checks.ts'

export interface BrokerConfig {
  readonly settings: NodeSettings
  /** One line each, with file and line number. */
  readonly warnings: readonly string[]
  /** Every key with the value it has, sorted by key. */
  readonly effective: ReadonlyMap<string, string>
}

/** Two keep one core thread busy: a send costs them twice what it costs that one. */
const DEFAULT_NETWORK_THREADS = 2
/**
 * Each has rings and a heap of its own, about 40 MiB; Apache's sample files ask for 16 and more.
 */
const MAX_NETWORK_THREADS = 8
/** DLedger port of a group of one, which no other node connects to. */
const SINGLE_NODE_PORT = 40911

/**
 * Reads `path` (none: only defaults) and lays `overrides` from the command line over it.
 * @throws LedgerError BAD_CONFIG naming every problem with file and line.
 */
export function loadBrokerConfig(
  path: string | undefined,
  overrides: Readonly<Record<string, string>> = {},
  environment: ConfigEnvironment = systemEnvironment(),
): BrokerConfig {
  return readBrokerConfig(readConfigSource(path, overrides), environment)
}

/** Like loadBrokerConfig, for a file that has been read already. */
export function readBrokerConfig(
  source: ConfigSource,
  environment: ConfigEnvironment,
): BrokerConfig {
  const read = readSettings(brokerSchema, source.entries, BROKER_KEYS)
  const problems = [...source.problems, ...read.problems]
  if (problems.length > 0) refuse(source, problems)
  const keys = fillIn(read.values, environment)
  const lineOf = (key: string): number => read.lines.get(key) ?? 0
  problems.push(...expandPaths(keys, environment, lineOf))
  // As in Apache's getMappedFileSizeConsumeQueue: a unit is 20 bytes.
  keys.mappedFileSizeConsumeQueue = Math.ceil(keys.mappedFileSizeConsumeQueue / 20) * 20
  const effective = formatSettings(brokerSchema, keys)
  const settings = toSettings(keys, effective, environment)
  const conflicts = findConflicts(read.values, settings, lineOf)
  problems.push(...conflicts.problems)
  if (problems.length > 0) refuse(source, problems)
  const warnings = sayRemarks(source, [...read.warnings, ...conflicts.warnings])
  return { settings, warnings, effective }
}

/** Defaults that depend on the machine or on other keys. */
function fillIn(values: BrokerKeys, environment: ConfigEnvironment): BrokerKeys {
  const keys = { ...values }
  keys.brokerName ||= environment.hostName.replace(/[^a-zA-Z0-9_.-]/g, '_') || 'DEFAULT_BROKER'
  keys.brokerIP1 ||= environment.address
  keys.namesrvAddr ||= environment.variables.NAMESRV_ADDR ?? ''
  keys.rocketmqHome ||= environment.variables.ROCKETMQ_HOME ?? ''
  keys.dLegerGroup ||= keys.brokerName
  keys.dLegerPeers ||= `n0-127.0.0.1:${SINGLE_NODE_PORT}`
  keys.dLegerSelfId ||= 'n0'
  if (keys.threads === 'auto') keys.threads = environment.cores >= 4 ? 'separate' : 'folded'
  keys.sendMessageThreadPoolNums = networkThreads(keys, environment)
  keys.storePathCommitLog ||= join(keys.storePathRootDir, 'commitlog')
  keys.storePathDLedgerCommitLog ||= join(
    keys.storePathRootDir,
    `dledger-${keys.dLegerSelfId}`,
    'data',
  )
  return keys
}

/** The core, io and broker threads want the other half of the cores. */
function networkThreads(keys: BrokerKeys, { cores }: ConfigEnvironment): number {
  const wanted = keys.sendMessageThreadPoolNums || DEFAULT_NETWORK_THREADS
  return Math.max(1, Math.min(wanted, Math.floor(cores / 2), MAX_NETWORK_THREADS))
}

function expandPaths(
  keys: BrokerKeys,
  environment: ConfigEnvironment,
  lineOf: (key: string) => number,
): ConfigRemark[] {
  const problems: ConfigRemark[] = []
  const names = ['storePathRootDir', 'storePathCommitLog', 'storePathDLedgerCommitLog'] as const
  for (const key of names) {
    const path = expandPath(keys[key], environment, keys.rocketmqHome)
    if (path !== undefined) {
      keys[key] = path
    } else if (lineOf(key) > 0 || key === 'storePathRootDir') {
      const why = 'only ${user.home} and ${ROCKETMQ_HOME} (when set) are replaced'
      problems.push({ line: lineOf(key), message: `${key}=${keys[key]}: ${why}` })
    }
  }
  return problems
}

function toSettings(
  keys: BrokerKeys,
  effective: ReadonlyMap<string, string>,
  { memoryBytes }: ConfigEnvironment,
): NodeSettings {
  const { channelExpiredTimeout, threads, ...same } = keys
  return {
    ...pick(same),
    channelExpiredTimeoutMs: channelExpiredTimeout,
    accessMessageInMemoryMaxBytes: Math.floor(
      (memoryBytes * keys.accessMessageInMemoryMaxRatio) / 100,
    ),
    nameServers: splitList(keys.namesrvAddr),
    peers: peersOf(keys.dLegerPeers),
    preferredLeaderIds: splitList(keys.preferredLeaderId),
    oldCommitLogWithoutIds: splitList(keys.oldCommitLogWithout),
    registerNameServerPeriodMs: keys.registerNameServerPeriod,
    networkThreads: keys.sendMessageThreadPoolNums,
    threads: threads === 'separate' ? 'separate' : 'folded',
    configuration: Object.fromEntries(effective),
  }
}

/** Fields that are called the same in the file and in the settings. */
type SameName = Extract<keyof NodeSettings, keyof BrokerKeys>
type SameFields = Pick<NodeSettings, Exclude<SameName, 'threads'>>

function pick(keys: Omit<BrokerKeys, 'channelExpiredTimeout' | 'threads'>): SameFields {
  const result: SameFields = keys
  return result
}

function peersOf(text: string): PeerAddress[] {
  const peers = parsePeers(text)
  if (typeof peers === 'string') throw new TypeError(`members that passed the check: ${peers}`)
  return peers
}
