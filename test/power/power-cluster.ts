/**
 * A group of brokers on disks that lose power. Owns the rule that power is cut only under a process
 * that has ended, and that all victims of one cut are killed at the same moment.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { assert, type Random, randomBetween } from '@ringledger/base'
import { Cluster } from '../harness/cluster.ts'
import { buildDiskLayer, type Cut, LossyDisk } from './disk-layer.ts'
import { type Loss, NO_LOSS } from './power-off.ts'

export const SEGMENT_BYTES: number = 2 * 1024 * 1024

/** Small files, so that every round makes, fills and leaves some of each kind. */
const SETTINGS: Readonly<Record<string, string>> = {
  mappedFileSizeCommitLog: String(SEGMENT_BYTES),
  maxMessageSize: '65536',
  autoCreateTopicEnable: 'false',
  autoCreateSubscriptionGroup: 'false',
  mappedFileSizeConsumeQueue: '20000',
  maxHashSlotNum: '1000',
  maxIndexNum: '4000',
  maxTransferCountOnMessageInMemory: '1000',
  maxTransferBytesOnMessageInMemory: String(1024 * 1024),
}

export interface PowerClusterOptions {
  /** Three if absent. */
  readonly nodes?: 1 | 3
  readonly random: Random
  /** A sync takes up to twice this long. */
  readonly syncMicros: number
  /** The disks answer an fdatasync and do nothing. */
  readonly lies?: boolean
}

export class PowerCluster {
  readonly cluster: Cluster
  readonly #random: Random
  readonly #disks: ReadonlyMap<string, LossyDisk>
  readonly #dieAfter: Map<string, number>
  readonly #lies: boolean
  #lost: Loss = NO_LOSS
  #stopped = false

  private constructor(
    cluster: Cluster,
    { random, lies = false }: PowerClusterOptions,
    disks: ReadonlyMap<string, LossyDisk>,
    dieAfter: Map<string, number>,
  ) {
    this.cluster = cluster
    this.#random = random
    this.#lies = lies
    this.#disks = disks
    this.#dieAfter = dieAfter
  }

  /** Resolves when the group leads. `layers`: a directory for the compiled layer. */
  static async start(layers: string, options: PowerClusterOptions): Promise<PowerCluster> {
    const { nodes = 3, syncMicros, lies = false } = options
    const library = await buildDiskLayer(layers)
    const disks = new Map<string, LossyDisk>()
    const dieAfter = new Map<string, number>()
    const environment = (id: string, directory: string): NodeJS.ProcessEnv => {
      let disk = disks.get(id)
      if (disk === undefined) {
        const root = join(directory, id)
        const control = join(directory, `${id}-disk`)
        mkdirSync(root)
        disk = new LossyDisk({ library, root, control, syncMicros, lies })
        disks.set(id, disk)
      }
      return disk.environment(dieAfter.get(id))
    }
    const cluster = await Cluster.start({ nodes, settings: SETTINGS, environment })
    return new PowerCluster(cluster, options, disks, dieAfter)
  }

  /** What was lost so far, of all nodes. */
  get lost(): Loss {
    return this.#lost
  }

  storeOf(id: string): string {
    return join(this.cluster.directory, id)
  }

  /** Kills all of these at once, wherever they are, and cuts their power. */
  async crash(ids: readonly string[], how: Cut = {}): Promise<void> {
    await Promise.all(ids.map((id) => this.cluster.kill(id, 'SIGKILL')))
    for (const id of ids) this.#cut(id, how)
  }

  /**
   * Starts a node; with `crashes`, it first loses power so often again, each time at a random
   * change of its disk early in its life. Resolves when it serves.
   */
  async revive(id: string, crashes: number): Promise<void> {
    for (let left = crashes; left > 0; left--) {
      this.#dieAfter.set(id, earlyChange(this.#random))
      const booted = await this.#boot(id).catch((error: unknown) => error)
      // By the layer's signal, before it serves or soon after; an end of its own is a finding.
      const exitCode = await this.cluster.ended(id)
      if (exitCode !== null) throw booted ?? new Error(`${id} ended with code ${exitCode}`)
      this.#cut(id)
    }
    this.#dieAfter.delete(id)
    await this.#boot(id)
  }

  async stop(keepData: boolean): Promise<void> {
    this.#stopped = true
    await this.cluster.stop({ keepData })
  }

  async #boot(id: string): Promise<void> {
    assert(!this.#stopped, 'a group that was stopped starts no node')
    await this.cluster.boot(id)
  }

  #cut(id: string, how: Cut = {}): void {
    const disk = this.#disks.get(id)
    assert(disk !== undefined, 'a node that ran has a disk')
    // What a disk that lied keeps by chance does not fit together, and no node would start.
    const lost = disk.cutPower(this.#random, this.#lies ? { kept: 0 } : how)
    this.#lost = sumOf(this.#lost, lost)
  }
}

/** A start takes some 40 changes; then come those of a node at work. */
function earlyChange(random: Random): number {
  return randomBetween(random, 1, random() < 0.7 ? 60 : 400)
}

export function sumOf(a: Loss, b: Loss): Loss {
  return {
    files: a.files + b.files,
    sectors: a.sectors + b.sectors,
    tornSectors: a.tornSectors + b.tornSectors,
    names: a.names + b.names,
    lies: a.lies + b.lies,
  }
}
