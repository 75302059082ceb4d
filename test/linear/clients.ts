/**
 * The clients of one history, all in one process on the clients' server, so that one clock times
 * them. Writes lines (history.ts) until a line comes in, then reads everything again and ends.
 * The one argument is the {@link ClientsConfig}.
 */
import { once } from 'node:events'
import { seededRandom } from '@ringledger/base'
import type { ActorOptions, Belief, Perform } from './actor.ts'
import { BrokerLink } from './broker-link.ts'
import { BrokerWorkload } from './broker-workload.ts'
import { EngineWorkload } from './engine-workload.ts'
import type { Line } from './history.ts'
import { LineLink } from './line-link.ts'

export interface ClientsConfig {
  readonly target: 'engine' | 'broker'
  readonly clients: number
  readonly seed: number
  readonly nodes: readonly { readonly id: string; readonly host: string; readonly port: number }[]
}

interface Link {
  request(operation: object, limitMs: number): ReturnType<Perform>
}

function performer({ target, nodes }: ClientsConfig): Perform {
  const links = new Map<string, Link>(
    nodes.map(({ id, host, port }) => [
      id,
      target === 'engine'
        ? new LineLink(host, port)
        : (new BrokerLink(`${host}:${port}`) as unknown as Link),
    ]),
  )
  return (nodeId, operation, limitMs) => links.get(nodeId)!.request(operation, limitMs)
}

async function main(config: ClientsConfig): Promise<void> {
  const belief: Belief = { leader: undefined }
  const nodeIds = config.nodes.map(({ id }) => id)
  const say = (line: Line): void => {
    process.stdout.write(`${JSON.stringify(line)}\n`)
  }
  const actor = (number: number): ActorOptions => {
    const random = seededRandom(config.seed * 1000 + number)
    return { number, nodeIds, random, perform: performer(config), say, belief }
  }
  const actors = Array.from({ length: config.clients }, (_, number) => actor(number))
  const Workload = config.target === 'engine' ? EngineWorkload : BrokerWorkload
  const workload = new Workload(actors, actor(config.clients))
  await once(process.stdin, 'data')
  say({ kind: 'ended', complete: await workload.end() })
  process.stdin.destroy()
  // Connections to nodes that are being ended do not keep this process.
  process.stdout.end(() => process.exit(0))
}

await main(JSON.parse(process.argv[2] ?? '{}') as ClientsConfig)
