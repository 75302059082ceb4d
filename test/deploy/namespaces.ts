/**
 * Servers with addresses of their own on one machine: a network namespace each, joined by a bridge
 * in a further one, so that the machine's own network is not touched. Needs root.
 */
import { spawnSync } from 'node:child_process'
import { missingTools } from '../support/external-tools.ts'

export interface Server {
  readonly name: string
  readonly address: string
}

/** Why namespaces cannot be made here; false when they can. */
export function noNamespaces(): string | false {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const missing = missingTools('ip')
  if (missing !== false) return missing
  const probe = `rl-probe-${process.pid}`
  const made = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' })
  if (made.status !== 0) return `no network namespaces here: ${made.stderr.trim()}`
  ip('netns', 'del', probe)
  return false
}

/** A bridged network; every name starts with a prefix of this process. */
export class Network {
  readonly #prefix = `rl${process.pid}`
  readonly #names: string[] = []

  constructor() {
    this.#add('hub')
    ip('-n', this.namespace('hub'), 'link', 'add', 'br0', 'type', 'bridge')
    ip('-n', this.namespace('hub'), 'link', 'set', 'br0', 'up')
  }

  namespace(name: string): string {
    return `${this.#prefix}-${name}`
  }

  join(name: string, address: string): Server {
    this.#add(name)
    const [hub, own] = [this.namespace('hub'), this.namespace(name)]
    const veth = ['link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', own]
    ip('-n', hub, ...veth)
    ip('-n', hub, 'link', 'set', name, 'master', 'br0', 'up')
    ip('-n', own, 'address', 'add', `${address}/24`, 'dev', 'eth0')
    ip('-n', own, 'link', 'set', 'eth0', 'up')
    return { name, address }
  }

  /** The command line that runs something on this server. */
  on(name: string): readonly string[] {
    return ['netns', 'exec', this.namespace(name)]
  }

  cut(name: string): void {
    ip('-n', this.namespace('hub'), 'link', 'set', name, 'down')
  }

  heal(name: string): void {
    ip('-n', this.namespace('hub'), 'link', 'set', name, 'up')
  }

  remove(): void {
    for (const name of this.#names) ip('netns', 'del', this.namespace(name))
  }

  #add(name: string): void {
    ip('netns', 'add', this.namespace(name))
    this.#names.push(name)
    ip('-n', this.namespace(name), 'link', 'set', 'lo', 'up')
  }
}

function ip(...args: string[]): void {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
}
