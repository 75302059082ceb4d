/**
 * The processes of one group, a member on each server of a lab. Owns the rule that a history hears
 * of a member's new process after the old one has ended and before the new one is there.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OwnProcess } from '../harness/line-process.ts'
import { ROOT } from '../support/run-command.ts'
import type { ClientsConfig } from './clients.ts'
import type { Lab, LabNode } from './lab.ts'
import { MUTATION_VARIABLE } from './mutations.ts'
import type { NodeConfig } from './node.ts'

export type Target = 'engine' | 'broker'

const PORTS: Readonly<Record<Target, { peers: number; clients: number }>> = {
  engine: { peers: 7001, clients: 7002 },
  broker: { peers: 7011, clients: 7012 },
}
const BROKER_SEGMENT_BYTES = 64 * 1024 * 1024

export interface MembersOptions {
  readonly target: Target
  readonly lab: Lab
  readonly directory: string
  /** A deliberate bug of mutations.ts. */
  readonly mutation?: string
  /** A process of the node begins; the one before has ended. */
  readonly onStart: (nodeId: string) => void
  /** A process said or did what it should not. */
  readonly onTrouble: (text: string) => void
}

export class Members {
  readonly #options: MembersOptions
  readonly #processes = new Map<string, OwnProcess>()

  constructor(options: MembersOptions) {
    this.#options = options
    mkdirSync(options.directory, { recursive: true })
  }

  get clientNodes(): ClientsConfig['nodes'] {
    const { lab, target } = this.#options
    const port = PORTS[target].clients
    return lab.nodes.map(({ id, clientHost }) => ({ id, host: clientHost, port }))
  }

  start(id: string): void {
    const { target, lab, directory, mutation, onStart, onTrouble } = this.#options
    const hooks = join(ROOT, 'test/linear/mutations.ts')
    const mutate = mutation === undefined ? [] : ['--import', hooks]
    const node = lab.nodes.find((candidate) => candidate.id === id)
    if (node === undefined) throw new Error(`no node ${id}`)
    onStart(id)
    const command = target === 'engine' ? this.#engineCommand(node) : this.#brokerCommand(node)
    const started = new OwnProcess(
      {
        command: 'ip',
        args: [...lab.on(id), process.execPath, ...mutate, ...command],
        cwd: directory,
        env: this.#environment(),
        logPath: join(directory, `${id}.log`),
      },
      target === 'engine' ? (line) => onTrouble(`${id}: ${line}`) : undefined,
    )
    this.#processes.set(id, started)
    void started.ended().then(() => {
      if (this.#processes.get(id) === started) onTrouble(`${target} ${id} ended by itself`)
    })
  }

  async kill(id: string): Promise<void> {
    const killed = this.#processes.get(id)
    this.#processes.delete(id)
    await killed?.end('SIGKILL')
  }

  signal(id: string, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#processes.get(id)?.signal(signal)
  }

  async end(): Promise<void> {
    await Promise.all([...this.#processes.keys()].map((id) => this.kill(id)))
  }

  #environment(): NodeJS.ProcessEnv {
    const { directory, mutation } = this.#options
    if (mutation !== undefined) return { ...process.env, [MUTATION_VARIABLE]: mutation }
    return { ...process.env, NODE_COMPILE_CACHE: join(directory, '..', 'compiled') }
  }

  #engineCommand({ id, clientHost }: LabNode): string[] {
    const { lab, directory } = this.#options
    const { peers, clients } = PORTS.engine
    const config: NodeConfig = {
      id,
      directory: join(directory, id),
      members: lab.nodes.map((node) => ({ id: node.id, host: node.peerHost, port: peers })),
      clientHost,
      clientPort: clients,
    }
    return [join(ROOT, 'test/linear/node.ts'), JSON.stringify(config)]
  }

  #brokerCommand({ id, clientHost }: LabNode): string[] {
    const { lab, directory } = this.#options
    const { peers, clients } = PORTS.broker
    const settings = {
      brokerClusterName: 'Linear',
      brokerName: 'Linear',
      brokerIP1: clientHost,
      listenPort: clients,
      storePathRootDir: join(directory, id),
      enableDLegerCommitLog: true,
      dLegerGroup: 'Linear',
      dLegerPeers: lab.nodes.map((node) => `${node.id}-${node.peerHost}:${peers}`).join(';'),
      dLegerSelfId: id,
      mappedFileSizeCommitLog: BROKER_SEGMENT_BYTES,
    }
    const path = join(directory, `${id}.conf`)
    const lines = Object.entries(settings).map((pair) => pair.join('='))
    writeFileSync(path, `${lines.join('\n')}\n`)
    return [join(ROOT, 'packages/cli/bin/mqbroker.mjs'), '-c', path]
  }
}
