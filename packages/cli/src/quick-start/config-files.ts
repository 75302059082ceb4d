/** The configuration of a quick-start cluster: ordinary files, to be read, edited and copied. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { formatProperties } from '../config/properties-file.ts'
import {
  CLUSTER_NAME,
  type ClusterLayout,
  GROUP_NAME,
  HOST,
  type Member,
  markerPath,
  nameServerAddress,
} from './layout.ts'

/** Zero-filled at start, so small: RocketMQ's 1 GiB each would take seconds and 3 GiB of disk. */
const SEGMENT_BYTES = 64 * 1024 * 1024

/** Writes what is missing; a file that is there may have been edited and stays. */
export function writeConfigFiles(layout: ClusterLayout): void {
  for (const member of [layout.nameServer, ...layout.brokers]) {
    mkdirSync(dirname(member.logPath), { recursive: true })
    mkdirSync(dirname(member.pidPath), { recursive: true })
  }
  const { basePort, nodes } = layout
  writeMissing(markerPath(layout.directory), `${JSON.stringify({ basePort, nodes })}\n`)
  writeMissing(layout.nameServer.configPath, nameServerConfig(layout))
  for (const broker of layout.brokers) writeMissing(broker.configPath, brokerConfig(layout, broker))
}

function writeMissing(path: string, text: string): void {
  if (!existsSync(path)) writeFileSync(path, text)
}

function nameServerConfig(layout: ClusterLayout): string {
  return formatProperties([
    ['listenPort', String(layout.nameServer.port)],
    ['bindAddress', HOST],
    ['kvConfigPath', join(layout.directory, 'namesrv', 'kvConfig.json')],
  ])
}

export function brokerConfig(layout: ClusterLayout, broker: Member): string {
  const peers = layout.brokers.map(({ id, peerPort }) => `${id}-${HOST}:${peerPort}`)
  const head = `# Node ${broker.id} of the quick start. Edit it and run: ./fast-try.sh restart ${broker.id}\n`
  const settings = formatProperties([
    ['brokerClusterName', CLUSTER_NAME],
    ['brokerName', GROUP_NAME],
    ['brokerIP1', HOST],
    ['bindAddress', HOST],
    ['listenPort', String(broker.port)],
    ['namesrvAddr', nameServerAddress(layout)],
    ['storePathRootDir', join(layout.directory, 'store', broker.id)],
    ['enableDLegerCommitLog', 'true'],
    ['dLegerGroup', GROUP_NAME],
    ['dLegerPeers', peers.join(';')],
    ['dLegerSelfId', broker.id],
    ['autoCreateTopicEnable', 'true'],
    ['flushDiskType', 'SYNC_FLUSH'],
  ])
  const size = formatProperties([['mappedFileSizeCommitLog', String(SEGMENT_BYTES)]])
  return `${head}${settings}# Small, for a quick start; RocketMQ's default is 1073741824.\n${size}`
}
