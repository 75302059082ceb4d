/** NATS JetStream: three nodes of its own server, a stream of three replicas, its own client. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OwnProcess } from '../../test/harness/line-process.ts'
import { freeBasePort } from '../../test/support/ports.ts'
import type { Figures } from '../suite/scenario.ts'
import type { Peer, RunningPeer, Shape } from './peer.ts'
import { natsProgram } from './program-cache.ts'

const HOST = '127.0.0.1'
const NODES = [0, 1, 2] as const
const CLUSTER_OFFSET = 10
const PORT_OFFSETS: readonly number[] = NODES.flatMap((node) => [node, CLUSTER_OFFSET + node])
const SETTLE_SECONDS = 1
const WARM_SHAPE: Shape = { name: 'warm', connections: 4, window: 64, bodyBytes: 1024 }

export function nats({ syncAlways }: { syncAlways: boolean }): Peer {
  return {
    name: syncAlways ? 'NATS R3, sync always' : 'NATS R3',
    warmShare: 0,
    start: () => start(syncAlways),
  }
}

async function start(syncAlways: boolean): Promise<RunningPeer> {
  const program = natsProgram()
  const basePort = await freeBasePort(PORT_OFFSETS)
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-bench-nats-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  process.once('exit', remove)
  const servers: OwnProcess[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.end('SIGKILL')))
    process.off('exit', remove)
    remove()
  }
  const addresses = NODES.map((node) => `nats://${HOST}:${basePort + node}`).join(',')
  try {
    const serving = NODES.map((node) => {
      const args = serverArgs(node, basePort, directory, syncAlways)
      return startServer(program, args, join(directory, `n${node}.log`), servers)
    })
    await Promise.all(serving)
  } catch (error) {
    await stop()
    throw error
  }
  const send = (shape: Shape, warmSeconds: number, seconds: number): Promise<Figures> =>
    runLoad(program, loadArgs(addresses, shape, warmSeconds, seconds), directory)
  return {
    warm: async (seconds) => {
      await send(WARM_SHAPE, 0, seconds)
    },
    send: (shape, seconds) => send(shape, SETTLE_SECONDS, seconds),
    pull: undefined,
    stop,
  }
}

function serverArgs(
  node: number,
  basePort: number,
  directory: string,
  syncAlways: boolean,
): string[] {
  const clusterPort = basePort + CLUSTER_OFFSET
  const routes = NODES.map((peer) => `nats://${HOST}:${clusterPort + peer}`).join(',')
  return [
    'server',
    `-name=n${node}`,
    `-port=${basePort + node}`,
    `-cluster-port=${clusterPort + node}`,
    `-routes=${routes}`,
    `-directory=${join(directory, `n${node}`)}`,
    `-sync-always=${syncAlways}`,
  ]
}

function loadArgs(servers: string, shape: Shape, warm: number, seconds: number): string[] {
  const { connections, window, bodyBytes } = shape
  const times = [`-warm=${warm}s`, `-measured=${seconds}s`]
  const load = [`-connections=${connections}`, `-window=${window}`, `-bytes=${bodyBytes}`]
  return ['load', `-servers=${servers}`, ...load, ...times]
}

/** Resolves when it says that it serves. @throws Error with its log when it ends before. */
async function startServer(
  command: string,
  args: readonly string[],
  logPath: string,
  servers: OwnProcess[],
): Promise<void> {
  let onServing = (): void => {}
  const serving = new Promise<true>((resolve) => {
    onServing = () => resolve(true)
  })
  const server = new OwnProcess({ command, args, logPath }, (line) => {
    if (line.startsWith('serving ')) onServing()
  })
  servers.push(server)
  if (await Promise.race([serving, server.ended()])) return
  throw new Error(`a node of NATS has ended:\n${readFileSync(logPath, 'utf8')}`)
}

/** @throws Error with what the program said when it fails. */
async function runLoad(
  command: string,
  args: readonly string[],
  directory: string,
): Promise<Figures> {
  const logPath = join(directory, 'load.log')
  const lines: string[] = []
  const load = new OwnProcess({ command, args, logPath }, (line) => lines.push(line))
  await load.closed()
  if (load.exitCode === 0 && lines[0] !== undefined) return JSON.parse(lines[0]) as Figures
  throw new Error(`the load of NATS: ${readFileSync(logPath, 'utf8')}`)
}
