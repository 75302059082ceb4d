/**
 * The real disk: `node:fs` by synchronous calls, because the libuv pool's fdatasync has a ten times
 * longer tail than a call from a thread of its own. Owns nothing but descriptors.
 */
import {
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  read,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
  writevSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { LedgerError } from '@ringledger/base'
import {
  BLOCK_BYTES,
  type DirectFile,
  type Disk,
  DiskError,
  type DiskFile,
  OpenMode,
  type StoreLock,
} from './disk.ts'
import { diskUsage } from './disk-usage.ts'
import { lockStore } from './lock.ts'

const OPEN_FLAGS: Record<OpenMode, string | number> = {
  [OpenMode.READ]: 'r',
  [OpenMode.READ_BLOCKS]: constants.O_RDONLY | constants.O_DIRECT,
  [OpenMode.WRITE]: 'r+',
  [OpenMode.CREATE]: 'wx+',
}

const DIRECT_FLAGS: number = constants.O_RDWR | constants.O_DIRECT | constants.O_DSYNC
/** How a file system says that it has no direct writes, or not these. */
const REFUSED_CODES: ReadonlySet<string> = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOTSUP'])

function attempt<Result>(operation: string, path: string, call: () => Result): Result {
  try {
    return call()
  } catch (error) {
    throw toDiskError(operation, path, error)
  }
}

function toDiskError(operation: string, path: string, error: unknown): DiskError {
  const errno = (error as NodeJS.ErrnoException).code ?? 'UNKNOWN'
  return new DiskError(operation, path, errno, (error as Error).message)
}

class NodeDiskFile implements DiskFile {
  readonly path: string
  readonly #descriptor: number

  constructor(path: string, descriptor: number) {
    this.path = path
    this.#descriptor = descriptor
  }

  writeAt(bytes: Uint8Array, offset: number, sizeBytes: number, position: number): void {
    let done = 0
    try {
      while (done < sizeBytes) {
        done += writeSync(this.#descriptor, bytes, offset + done, sizeBytes - done, position + done)
      }
    } catch (error) {
      throw toDiskError('write', this.path, error)
    }
  }

  readAt(target: Uint8Array, offset: number, sizeBytes: number, position: number): number {
    let done = 0
    try {
      while (done < sizeBytes) {
        const count = readSync(
          this.#descriptor,
          target,
          offset + done,
          sizeBytes - done,
          position + done,
        )
        if (count === 0) break
        done += count
      }
    } catch (error) {
      throw toDiskError('read', this.path, error)
    }
    return done
  }

  async readAtAsync(
    target: Uint8Array,
    offset: number,
    sizeBytes: number,
    position: number,
  ): Promise<number> {
    let done = 0
    while (done < sizeBytes) {
      const count = await this.#readOnce(target, offset + done, sizeBytes - done, position + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  sync(): void {
    attempt('fdatasync', this.path, () => fdatasyncSync(this.#descriptor))
  }

  syncMetadata(): void {
    attempt('fsync', this.path, () => fsyncSync(this.#descriptor))
  }

  setLength(sizeBytes: number): void {
    attempt('truncate', this.path, () => ftruncateSync(this.#descriptor, sizeBytes))
  }

  sizeBytes(): number {
    return attempt('stat', this.path, () => fstatSync(this.#descriptor).size)
  }

  close(): void {
    attempt('close', this.path, () => closeSync(this.#descriptor))
  }

  #readOnce(
    target: Uint8Array,
    offset: number,
    sizeBytes: number,
    position: number,
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#descriptor, target, offset, sizeBytes, position, (error, count) => {
        if (error) reject(toDiskError('read', this.path, error))
        else resolve(count)
      })
    })
  }
}

class NodeDirectFile implements DirectFile {
  readonly blockBytes: number = BLOCK_BYTES
  readonly #path: string
  readonly #descriptor: number

  constructor(path: string, descriptor: number) {
    this.#path = path
    this.#descriptor = descriptor
  }

  write(parts: readonly Uint8Array[], position: number): boolean {
    let rest = parts
    let at = position
    try {
      for (;;) {
        const count = writevSync(this.#descriptor, rest, at)
        at += count
        rest = behind(rest, count)
        if (rest.length === 0) return true
        if (count === 0 || count % BLOCK_BYTES !== 0) return false
      }
    } catch (error) {
      if (REFUSED_CODES.has((error as NodeJS.ErrnoException).code ?? '')) return false
      throw toDiskError('direct write', this.#path, error)
    }
  }

  close(): void {
    attempt('close', this.#path, () => closeSync(this.#descriptor))
  }
}

/** What of `parts` lies behind the first `count` bytes. */
function behind(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  const rest: Uint8Array[] = []
  let skip = count
  for (const part of parts) {
    if (skip < part.length) rest.push(skip > 0 ? part.subarray(skip) : part)
    skip = Math.max(0, skip - part.length)
  }
  return rest
}

export class NodeDisk implements Disk {
  open(path: string, mode: OpenMode): DiskFile {
    return new NodeDiskFile(
      path,
      attempt('open', path, () => openSync(path, OPEN_FLAGS[mode], 0o644)),
    )
  }

  openDirect(path: string): DirectFile | undefined {
    try {
      return new NodeDirectFile(path, openSync(path, DIRECT_FLAGS))
    } catch (error) {
      if (REFUSED_CODES.has((error as NodeJS.ErrnoException).code ?? '')) return undefined
      throw toDiskError('open', path, error)
    }
  }

  exists(path: string): boolean {
    return existsSync(path)
  }

  list(directory: string): string[] {
    if (!existsSync(directory)) return []
    return attempt('list', directory, () => readdirSync(directory).sort())
  }

  makeDirectory(directory: string): void {
    const first = attempt('mkdir', directory, () => mkdirSync(directory, { recursive: true }))
    if (first === undefined) return
    // Each new name is an entry of the directory above it, up to the first that was there before.
    for (let path = directory; path.length >= first.length; path = dirname(path)) {
      this.syncDirectory(dirname(path))
    }
  }

  rename(from: string, to: string): void {
    attempt('rename', from, () => renameSync(from, to))
  }

  remove(path: string): void {
    attempt('remove', path, () => unlinkSync(path))
  }

  syncDirectory(directory: string): void {
    attempt('fsync', directory, () => {
      const descriptor = openSync(directory, 'r')
      try {
        fsyncSync(descriptor)
      } finally {
        closeSync(descriptor)
      }
    })
  }

  freeBytes(directory: string): number {
    return attempt('statfs', directory, () => diskUsage(directory).freeBytes)
  }

  usedRatio(directory: string): number {
    return attempt('statfs', directory, () => diskUsage(directory).usedRatio)
  }

  lock(path: string): StoreLock {
    try {
      return lockStore(path)
    } catch (error) {
      if (error instanceof LedgerError) throw error
      throw toDiskError('lock', path, error)
    }
  }
}
