/** Combinations of settings that cannot work, or that an operator should think about. */
import { isIP } from 'node:net'
import type { ConfigRemark } from '@ringledger/base'
import type { NodeSettings } from '@ringledger/broker'
import type { BrokerKeys } from './broker-keys.ts'

export interface Remarks {
  readonly problems: ConfigRemark[]
  readonly warnings: ConfigRemark[]
}

/**
 * Message body to entry: 48 bytes DLedger header, at most 32 KiB properties, topic and fixed
 * fields.
 */
const ENTRY_OVERHEAD_BYTES = 64 * 1024
/** RocketMQ without DLedger: a Master. */
const MASTER_ID = 0
const GROUP_OF_ONE = 'dLegerPeers=n0-127.0.0.1:40911 and dLegerSelfId=n0 make a group of one'

type Say = (kind: 'problems' | 'warnings', key: string, message: string) => void

/**
 * Checks what no single value can tell. `lineOf` gives the line of a key, 0 when it is not in the
 * file.
 */
export function findConflicts(
  keys: BrokerKeys,
  settings: NodeSettings,
  lineOf: (key: string) => number,
): Remarks {
  const remarks: Remarks = { problems: [], warnings: [] }
  const say: Say = (kind, key, message) => remarks[kind].push({ line: lineOf(key), message })
  checkReplication(keys, say)
  if (!keys.enableDLegerCommitLog) checkPlain(keys, settings, say)
  checkGroup(keys, settings, say)
  checkSizes(settings, say)
  checkPromises(keys, settings, say, lineOf)
  return remarks
}

function checkReplication(keys: BrokerKeys, say: Say): void {
  if (keys.enableControllerMode) {
    const way = 'remove it; replicas are a DLedger group (enableDLegerCommitLog, dLegerPeers)'
    say('problems', 'enableControllerMode', `enableControllerMode=true is not supported: ${way}`)
  }
  if (keys.dLegerSelfId !== '' && keys.dLegerPeers === '') {
    say('problems', 'dLegerSelfId', `dLegerSelfId without dLegerPeers; ${GROUP_OF_ONE}`)
  }
  if (keys.dLegerPeers !== '' && keys.dLegerSelfId === '') {
    say('problems', 'dLegerPeers', 'dLegerPeers without dLegerSelfId: which of them is this node?')
  }
}

/** One node on a commit log as a Master of RocketMQ's has it. */
function checkPlain(keys: BrokerKeys, settings: NodeSettings, say: Say): void {
  const mode = 'enableDLegerCommitLog=false (plain mode, one node without Raft)'
  if (settings.peers.length > 1) {
    const message = `${mode}: dLegerPeers names ${settings.peers.length} nodes; remove it, or set enableDLegerCommitLog=true`
    say('problems', 'dLegerPeers', message)
  }
  if (keys.brokerRole === 'SLAVE' || keys.brokerId !== MASTER_ID) {
    const key = keys.brokerRole === 'SLAVE' ? 'brokerRole' : 'brokerId'
    const message = `${key}=${keys[key]} with ${mode}: this broker is always a Master, and copies from none; a group (enableDLegerCommitLog=true) has copies`
    say('problems', key, message)
  }
  const message = `${mode}: nothing is replicated, and Slaves of RocketMQ's cannot copy from this broker`
  say('warnings', 'enableDLegerCommitLog', message)
}

function checkGroup(keys: BrokerKeys, settings: NodeSettings, say: Say): void {
  const ids = settings.peers.map((peer) => peer.id)
  const self = settings.peers.find((peer) => peer.id === settings.dLegerSelfId)
  if (self === undefined) {
    if (keys.dLegerSelfId !== '' && keys.dLegerPeers !== '') {
      const message = `dLegerSelfId=${settings.dLegerSelfId} is not in dLegerPeers (${ids.join(', ')})`
      say('problems', 'dLegerSelfId', message)
    }
  } else if (self.port === settings.listenPort && keys.dLegerPeers !== '') {
    const message = `listenPort=${settings.listenPort} is also the DLedger port of ${self.id}; they must differ`
    say('problems', 'listenPort', message)
  }
  for (const id of settings.preferredLeaderIds) {
    if (!ids.includes(id)) {
      const message = `preferredLeaderId ${id} is not in dLegerPeers (${ids.join(', ')})`
      say('problems', 'preferredLeaderId', message)
    }
  }
  if (settings.heartbeatIntervalMs * 3 > settings.electionTimeoutMs) {
    const message = `heartbeatIntervalMs=${settings.heartbeatIntervalMs} must be at most a third of electionTimeoutMs=${settings.electionTimeoutMs}`
    say('problems', 'heartbeatIntervalMs', message)
  }
  if (ids.length > 1 && ids.length % 2 === 0) {
    const message = `a group of ${ids.length} survives no more failures than one of ${ids.length - 1}`
    say('warnings', 'dLegerPeers', message)
  }
}

function checkSizes(settings: NodeSettings, say: Say): void {
  const entryBytes = settings.maxMessageSize + ENTRY_OVERHEAD_BYTES
  if (settings.mappedFileSizeCommitLog < entryBytes) {
    const message = `mappedFileSizeCommitLog=${settings.mappedFileSizeCommitLog} cannot hold a message of maxMessageSize=${settings.maxMessageSize} with its header; at least ${entryBytes}`
    say('problems', 'mappedFileSizeCommitLog', message)
  }
  const arena = settings.logArenaSizeBytes
  if (!Number.isInteger(Math.log2(arena))) {
    const message = `logArenaSizeBytes=${arena} is not a power of two; ${2 ** Math.round(Math.log2(arena))} is the nearest`
    say('problems', 'logArenaSizeBytes', message)
  } else if (arena < 2 * entryBytes) {
    const message = `logArenaSizeBytes=${arena} must hold two messages of maxMessageSize=${settings.maxMessageSize}; at least ${2 * entryBytes}`
    say('problems', 'logArenaSizeBytes', message)
  }
  const indexBytes = 40 + settings.maxHashSlotNum * 4 + settings.maxIndexNum * 20
  if (indexBytes > 2_147_483_647) {
    const message = `maxHashSlotNum and maxIndexNum make a key index file of ${indexBytes} bytes; at most 2147483647`
    say('problems', 'maxIndexNum', message)
  }
  if (settings.storePathDLedgerCommitLog.includes(',')) {
    const message = 'more than one path is not supported; name one directory'
    say('problems', 'storePathDLedgerCommitLog', message)
  }
}

function checkPromises(
  keys: BrokerKeys,
  settings: NodeSettings,
  say: Say,
  lineOf: (key: string) => number,
): void {
  if (settings.flushDiskType === 'ASYNC_FLUSH') {
    const who = keys.enableDLegerCommitLog
      ? 'the machines of a majority lose'
      : 'this machine loses'
    const message = `flushDiskType=ASYNC_FLUSH: an acknowledged message may be lost when ${who} power`
    say('warnings', 'flushDiskType', message)
  }
  if (keys.enableDLegerCommitLog) checkIgnored(keys, say, lineOf)
  const others = settings.peers.filter((peer) => peer.id !== settings.dLegerSelfId)
  if (isLoopback(settings.brokerIP1) && others.some((peer) => !isLoopback(peer.host))) {
    const message = `brokerIP1=${settings.brokerIP1}: clients on other machines will be sent to themselves; set the address of this machine`
    say('warnings', 'brokerIP1', message)
  }
  if (settings.nameServers.length === 0) {
    const message =
      'no name server (namesrvAddr, -n or NAMESRV_ADDR): clients cannot find this broker'
    say('warnings', 'namesrvAddr', message)
  }
}

/** Settings of a Master or Slave that mean nothing in a group. */
function checkIgnored(keys: BrokerKeys, say: Say, lineOf: (key: string) => number): void {
  if (lineOf('brokerId') > 0) {
    const message = `brokerId=${keys.brokerId} is ignored: the leader is 0, a follower nK is K + 1`
    say('warnings', 'brokerId', message)
  }
  if (lineOf('brokerRole') > 0) {
    const message = `brokerRole=${keys.brokerRole} is ignored: the group elects its leader`
    say('warnings', 'brokerRole', message)
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
