/**
 * Three servers and a client on one machine, each in a network namespace of its own, with two
 * networks: one for the members of the group among themselves, which faults cut, and one for
 * clients, which stays whole, so that a leader that was cut off can still be asked. A direction is
 * cut by a wrong hardware address of the neighbour: frames leave and nobody takes them, as on a
 * broken path. Needs root; everything is named after this process and goes with it.
 */
import { spawnSync } from 'node:child_process'

export const CLIENT = 'client'
const CLIENT_HOST_NUMBER = 99

export interface LabNode {
  readonly id: string
  /** Where the other members reach it. */
  readonly peerHost: string
  /** Where clients reach it. */
  readonly clientHost: string
}

/** From one node's frames to another's ears. */
export interface Direction {
  readonly from: string
  readonly to: string
}

export class Lab {
  readonly nodes: readonly LabNode[]
  readonly #prefix = `lin${process.pid}`
  readonly #spaces: string[] = []
  readonly #remove = (): void => this.remove()
  #cut: readonly Direction[] = []
  #unplugged: readonly string[] = []

  constructor(nodeIds: readonly string[]) {
    this.nodes = nodeIds.map((id, at) => ({
      id,
      peerHost: `10.77.1.${at + 1}`,
      clientHost: `10.77.2.${at + 1}`,
    }))
    process.once('exit', this.#remove)
    this.#addSpace('hub')
    for (const bridge of ['peers', 'clients']) {
      this.#ip('hub', [`link add ${bridge} type bridge`, `link set ${bridge} up`])
    }
    for (const [at, { id, peerHost, clientHost }] of this.nodes.entries()) {
      this.#addSpace(id)
      this.#plug(id, 'peers', peerHost, hardwareAddress(at))
      this.#plug(id, 'clients', clientHost)
    }
    this.#addSpace(CLIENT)
    this.#plug(CLIENT, 'clients', `10.77.2.${CLIENT_HOST_NUMBER}`)
    this.partition([])
  }

  /** The words before a command that let it run on that server. */
  on(name: string): readonly string[] {
    return ['netns', 'exec', this.#space(name)]
  }

  /** From now on these directions, and no others, are dead. */
  partition(cut: readonly Direction[]): void {
    this.#cut = cut
    for (const { id } of this.nodes) this.#setNeighbours(id)
  }

  /** From now on the links of these nodes to the others, and of no others, are down. */
  unplug(ids: readonly string[]): void {
    const changed = (id: string): boolean => ids.includes(id) !== this.#unplugged.includes(id)
    const lines = this.nodes
      .filter(({ id }) => changed(id))
      .map(({ id }) => `link set ${id}-peers ${ids.includes(id) ? 'down' : 'up'}`)
    this.#unplugged = ids
    if (lines.length > 0) this.#ip('hub', lines)
  }

  heal(): void {
    this.partition([])
    this.unplug([])
  }

  remove(): void {
    process.off('exit', this.#remove)
    for (const space of this.#spaces.splice(0)) run(['netns', 'del', space])
  }

  #setNeighbours(id: string): void {
    const lines = this.nodes.flatMap((other, at) => {
      if (other.id === id) return []
      const dead = this.#cut.some(({ from, to }) => from === id && to === other.id)
      const address = dead ? '02:00:00:00:ff:ff' : hardwareAddress(at)
      return `neigh replace ${other.peerHost} lladdr ${address} dev peers nud permanent`
    })
    this.#ip(id, lines)
  }

  #plug(id: string, network: string, host: string, address?: string): void {
    const link = `${id}-${network}`
    const hardware = address === undefined ? '' : `address ${address} `
    const peer = `${hardware}name ${network} netns ${this.#space(id)}`
    this.#ip('hub', [
      `link add ${link} type veth peer ${peer}`,
      `link set ${link} master ${network} up`,
    ])
    this.#ip(id, [`address add ${host}/24 dev ${network}`, `link set ${network} up`])
  }

  #addSpace(name: string): void {
    run(['netns', 'add', this.#space(name)])
    this.#spaces.push(this.#space(name))
    this.#ip(name, ['link set lo up'])
  }

  #space(name: string): string {
    return `${this.#prefix}-${name}`
  }

  #ip(space: string, lines: readonly string[]): void {
    run(['-n', this.#space(space), '-batch', '-'], `${lines.join('\n')}\n`)
  }
}

function hardwareAddress(at: number): string {
  return `02:00:00:00:00:0${at + 1}`
}

function run(args: readonly string[], input = ''): void {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8', input })
  if (status !== 0) {
    throw new Error(`ip ${args.join(' ')}\n${input}${error?.message ?? stderr.trim()}`)
  }
}
