/**
 * Where a quick-start cluster lives: directory, ports and names. The directory names the cluster
 * for every verb; `cluster.json` in it marks it as ours and keeps the choices of the first start.
 */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { LedgerError } from '@ringledger/base'

export const DEFAULT_BASE_PORT = 9876
/**
 * RocketMQ's sample ports, counted from its name server's: 30911, 30921, 30931 and 40911 to 40913.
 */
const BROKER_PORT_OFFSET = 30_911 - DEFAULT_BASE_PORT
const PEER_PORT_OFFSET = 40_911 - DEFAULT_BASE_PORT
export const MAX_NODES = 3
export const MAX_BASE_PORT: number = 65_535 - PEER_PORT_OFFSET - MAX_NODES
export const HOST = '127.0.0.1'
export const CLUSTER_NAME = 'RaftCluster'
export const GROUP_NAME = 'RaftNode00'
export const NAME_SERVER_ID = 'namesrv'
const MARKER = 'cluster.json'

/** One process of the cluster. */
export interface Member {
  /** `namesrv`, `n0`, `n1` or `n2`. */
  readonly id: string
  readonly port: number
  /** DLedger port; undefined for the name server. */
  readonly peerPort: number | undefined
  readonly configPath: string
  readonly logPath: string
  readonly pidPath: string
}

export interface ClusterLayout {
  readonly directory: string
  readonly basePort: number
  readonly nodes: number
  readonly nameServer: Member
  readonly brokers: readonly Member[]
}

/** What `cluster.json` holds. */
export interface Choices {
  readonly basePort: number
  readonly nodes: number
}

export function layoutOf(directory: string, { basePort, nodes }: Choices): ClusterLayout {
  const root = resolve(directory)
  const member = (id: string, port: number, peerPort: number | undefined): Member => ({
    id,
    port,
    peerPort,
    configPath: join(root, id === NAME_SERVER_ID ? 'namesrv.conf' : `broker-${id}.conf`),
    logPath: join(root, 'logs', `${id}.log`),
    pidPath: join(root, 'run', `${id}.json`),
  })
  const brokers = Array.from({ length: nodes }, (_, index) =>
    member(
      `n${index}`,
      basePort + BROKER_PORT_OFFSET + index * 10,
      basePort + PEER_PORT_OFFSET + index,
    ),
  )
  const nameServer = member(NAME_SERVER_ID, basePort, undefined)
  return { directory: root, basePort, nodes, nameServer, brokers }
}

export function nameServerAddress(layout: ClusterLayout): string {
  return `${HOST}:${layout.nameServer.port}`
}

/** Every process, the name server first. */
export function members(layout: ClusterLayout): Member[] {
  return [layout.nameServer, ...layout.brokers]
}

export function markerPath(directory: string): string {
  return join(resolve(directory), MARKER)
}

/**
 * The choices of the cluster in `directory`; undefined when there is none.
 * @throws LedgerError BAD_CONFIG when the marker cannot be read.
 */
export function readChoices(directory: string): Choices | undefined {
  const path = markerPath(directory)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new LedgerError('BAD_CONFIG', `cannot read ${path}: ${(error as Error).message}`)
  }
  const { basePort, nodes } = parseMarker(text)
  const valid = Number.isInteger(basePort) && (nodes === 1 || nodes === 3)
  if (!valid) throw new LedgerError('BAD_CONFIG', `${path} is damaged; delete the directory`)
  return { basePort, nodes }
}

function parseMarker(text: string): Choices {
  try {
    return JSON.parse(text) as Choices
  } catch {
    return { basePort: Number.NaN, nodes: 0 }
  }
}
