/**
 * Descriptors of consume queue files, at most `limit` open at once: the one used longest ago is
 * closed for the next. Owns the invariant that a descriptor is closed exactly once, and then no
 * longer in its owner's list.
 */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * What is written is synced whenever there is so much of it, well before the kernel does it by
 * itself: that would be for all files of all queues at once, and the log would wait for it.
 */
const SYNC_BYTES = 2 * 1024 * 1024

export interface OpenFile {
  readonly descriptor: number
  /** Byte offset of the file's first byte in its queue: the file's name. */
  readonly fileStart: number
  readonly owner: OpenFile[]
  /** It did not exist before: its name needs a sync of the directory. */
  created: boolean
  unsyncedBytes: number
  newer: OpenFile | undefined
  older: OpenFile | undefined
}

export class OpenFiles {
  readonly #limit: number
  #count = 0
  #newest: OpenFile | undefined
  #oldest: OpenFile | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  get count(): number {
    return this.#count
  }

  /**
   * The file of `owner` that starts at `fileStart`, opened when needed. A file that is missing or
   * shorter than `sizeBytes` is made that long (sparse) if `create`; else undefined.
   */
  use(
    owner: OpenFile[],
    fileStart: number,
    path: () => string,
    sizeBytes: number,
    create: boolean,
  ): OpenFile | undefined {
    for (let at = 0; at < owner.length; at++) {
      const file = owner[at]!
      if (file.fileStart === fileStart) {
        if (file !== this.#newest) this.#touch(file)
        return file
      }
    }
    const opened = openQueueFile(path(), sizeBytes, create)
    if (opened === undefined) return undefined
    if (this.#count >= this.#limit) this.close(this.#oldest!)
    const file: OpenFile = {
      ...opened,
      fileStart,
      owner,
      unsyncedBytes: 0,
      newer: undefined,
      older: this.#newest,
    }
    if (this.#newest !== undefined) this.#newest.newer = file
    this.#newest = file
    this.#oldest ??= file
    this.#count++
    owner.push(file)
    return file
  }

  close(file: OpenFile): void {
    this.#unlink(file)
    this.#count--
    file.owner.splice(file.owner.indexOf(file), 1)
    closeSync(file.descriptor)
  }

  sync(file: OpenFile): void {
    fdatasyncSync(file.descriptor)
    file.unsyncedBytes = 0
  }

  /** So many bytes were written to it. */
  wrote(file: OpenFile, sizeBytes: number): void {
    file.unsyncedBytes += sizeBytes
    if (file.unsyncedBytes >= SYNC_BYTES) this.sync(file)
  }

  closeAll(): void {
    while (this.#oldest !== undefined) this.close(this.#oldest)
  }

  #touch(file: OpenFile): void {
    this.#unlink(file)
    file.newer = undefined
    file.older = this.#newest
    if (this.#newest !== undefined) this.#newest.newer = file
    this.#newest = file
    this.#oldest ??= file
  }

  #unlink(file: OpenFile): void {
    if (file.newer === undefined) this.#newest = file.older
    else file.newer.older = file.older
    if (file.older === undefined) this.#oldest = file.newer
    else file.older.newer = file.newer
  }
}

function openQueueFile(
  path: string,
  sizeBytes: number,
  create: boolean,
): { descriptor: number; created: boolean } | undefined {
  const existing = openExisting(path)
  if (existing === undefined && !create) return undefined
  const descriptor = existing ?? openNew(path)
  let isWhole = false
  try {
    if (fstatSync(descriptor).size < sizeBytes && create) ftruncateSync(descriptor, sizeBytes)
    isWhole = fstatSync(descriptor).size >= sizeBytes
  } finally {
    if (!isWhole) closeSync(descriptor)
  }
  return isWhole ? { descriptor, created: existing === undefined } : undefined
}

function openExisting(path: string): number | undefined {
  try {
    return openSync(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function openNew(path: string): number {
  mkdirSync(dirname(path), { recursive: true })
  return openSync(path, 'w+')
}
