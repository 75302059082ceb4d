/** What a broker.conf of a test's cluster says, for brokers of Apache that take a node's place. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../harness/cluster.ts'
import type { Settings } from './apache-broker.ts'

/** Small, so that a short test fills several files of each kind. */
export const SMALL_FILES: Settings = {
  maxMessageSize: '262144',
  mappedFileSizeCommitLog: '1048576',
  mappedFileSizeConsumeQueue: '2000',
  maxHashSlotNum: '500',
  maxIndexNum: '2000',
}

/** The node's, but on that store. */
export function settingsOf(cluster: Cluster, id: string, store: string): Settings {
  const lines = readFileSync(join(cluster.directory, `${id}.conf`), 'utf8')
    .trim()
    .split('\n')
  const own = lines.map((line) => {
    const equals = line.indexOf('=')
    return [line.slice(0, equals), line.slice(equals + 1)]
  })
  const commitLog = join(store, 'commitlog')
  return { ...Object.fromEntries(own), storePathRootDir: store, storePathCommitLog: commitLog }
}

/** The same for a group of this node alone. */
export function aloneSettingsOf(cluster: Cluster, id: string, store: string): Settings {
  const settings = settingsOf(cluster, id, store)
  const peers = settings.dLegerPeers?.split(';') ?? []
  return { ...settings, dLegerPeers: peers.find((peer) => peer.startsWith(`${id}-`)) ?? '' }
}

/** The same without a word about a group. */
export function withoutGroup(settings: Settings): Settings {
  const kept = Object.entries(settings).filter(([key]) => !/dLeger/i.test(key))
  return Object.fromEntries(kept)
}

/** The same for a Master of Apache's before it is in DLedger mode. */
export function plainSettingsOf(cluster: Cluster, id: string, store: string): Settings {
  const mode = { enableDLegerCommitLog: 'false', brokerRole: 'ASYNC_MASTER', brokerId: '0' }
  return { ...settingsOf(cluster, id, store), ...mode }
}
