/**
 * Small file systems (tmpfs) for the nodes of a cluster, which a test fills and frees. Owns the
 * rule that what it mounted is unmounted.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { missingTools } from '../support/external-tools.ts'

const BALLOON = 'balloon'
const CHUNK = Buffer.alloc(64 * 1024)

/** For the `skip` option: false where tmpfs can be mounted. @throws Error under CI=true. */
export function cannotMount(): string | false {
  const missing = missingTools('mount')
  if (missing !== false) return missing
  const probe = join(tmpdir(), `mount-probe-${process.pid}`)
  mkdirSync(probe, { recursive: true })
  const { status } = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', probe], { stdio: 'ignore' })
  if (status === 0) execFileSync('umount', ['-l', probe])
  rmSync(probe, { recursive: true })
  if (status === 0) return false
  if (process.env.CI === 'true') throw new Error('CI needs the right to mount')
  return 'this user may not mount a file system'
}

export class SmallDisks {
  readonly #sizeBytes: number
  readonly #mounted = new Set<string>()

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes
    process.once('exit', () => this.unmount())
  }

  /** Mounts one at `directory` if none is there. */
  mount(directory: string): void {
    if (this.#mounted.has(directory)) return
    mkdirSync(directory, { recursive: true })
    const options = `size=${this.#sizeBytes}`
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory])
    this.#mounted.add(directory)
  }

  /** Takes all space but about `leaveBytes`. */
  fill(directory: string, leaveBytes: number): void {
    const path = join(directory, BALLOON)
    const descriptor = openSync(path, 'a')
    let sizeBytes = 0
    try {
      for (;;) sizeBytes += writeSync(descriptor, CHUNK, 0, CHUNK.length)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    } finally {
      closeSync(descriptor)
    }
    if (leaveBytes > 0) truncateSync(path, Math.max(0, sizeBytes - leaveBytes))
  }

  free(directory: string): void {
    rmSync(join(directory, BALLOON), { force: true })
  }

  freeBytes(directory: string): number {
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize
  }

  /** Also while processes still use them. */
  unmount(): void {
    for (const directory of this.#mounted) spawnSync('umount', ['-l', directory])
    this.#mounted.clear()
  }
}
