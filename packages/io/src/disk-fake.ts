/**
 * The disk's faulty twin, in memory. Owns the promise that is all a real disk gives: what was
 * synced survives `crash`, and of the rest a random part does: whole sectors of written data,
 * lengths, and a prefix of each directory's changes. Also fails on request (a write in part, a sync
 * with its pages taken for clean), runs full, and flips bits. Everything follows from one seed.
 */
import { dirname } from 'node:path'
import { assert, LedgerError, type Random, randomBetween } from '@ringledger/base'
import {
  type DirectFile,
  type Disk,
  DiskError,
  type DiskFile,
  OpenMode,
  type StoreLock,
} from './disk.ts'

export const SECTOR_BYTES = 512

export type FakeOperation =
  | 'open'
  | 'write'
  | 'read'
  | 'fdatasync'
  | 'fsync'
  | 'truncate'
  | 'rename'
  | 'remove'
  | 'fsync directory'

/**
 * A call that fails: the `after`-th matching one from now (0: the next), and each one behind it
 * while `sticky`.
 */
export interface FakeFault {
  readonly operation: FakeOperation
  /** Part of the path. */
  readonly path: string
  readonly errno: string
  readonly after?: number
  readonly sticky?: boolean
}

/** The bytes behind a name, as seen now and as a crash may leave them. */
class Inode {
  now: Buffer = Buffer.alloc(0)
  durable: Buffer = Buffer.alloc(0)
  /** Sectors whose bytes now are not the durable ones. */
  readonly unsynced: Set<number> = new Set()
  /** Nothing was changed since all of it was durable: a crash does not touch it. */
  settled = true
  /** A failed sync left bytes that no later one makes durable. */
  lost = false
  /** Sectors that take space. */
  readonly allocated: Set<number> = new Set()
}

type NameChange =
  | { readonly kind: 'set'; readonly path: string; readonly inode: Inode }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly inode: Inode }
  | { readonly kind: 'remove'; readonly path: string }

export class FakeDisk implements Disk {
  /** Space for file data; sparse parts take none. */
  capacityBytes: number = Number.POSITIVE_INFINITY
  /** Of direct writes; 0: there are none. */
  directBlockBytes = 0
  /** So many direct writes are taken, all others refused. */
  directWritesLeft: number = Number.POSITIVE_INFINITY
  /** What `usedRatio` says. */
  shownUsedRatio = 0
  /**
   * Called before every call that changes something; a test throws from here to stop the world at
   * this point.
   */
  beforeChange: () => void = () => {}
  /** Called with every call to a file or directory. */
  trace: (operation: FakeOperation, path: string) => void = () => {}
  readonly #random: Random
  #names: Map<string, Inode> = new Map()
  #durableNames: Map<string, Inode> = new Map()
  /** Changes of names that no directory sync has made durable, in order. */
  #changes: NameChange[] = []
  readonly #directories: Set<string> = new Set()
  #faults: { fault: FakeFault; left: number }[] = []
  readonly #locks: Set<string> = new Set()
  /** Files opened before a crash do not work after it. */
  #life = 0

  constructor(random: Random) {
    this.#random = random
  }

  failOn(fault: FakeFault): void {
    this.#faults.push({ fault, left: fault.after ?? 0 })
  }

  clearFaults(): void {
    this.#faults = []
  }

  /** Power is lost: see the head of this file. Open files are dead, locks free. */
  crash(): void {
    this.#life++
    this.#locks.clear()
    this.#faults = []
    const kept = randomBetween(this.#random, 0, this.#changes.length + 1)
    for (const change of this.#changes.slice(0, kept)) apply(this.#durableNames, change)
    this.#changes = []
    this.#names = new Map(this.#durableNames)
    for (const inode of new Set(this.#names.values())) this.#crashInode(inode)
  }

  /** The process dies, the machine does not: everything written stays. */
  kill(): void {
    this.#life++
    this.#locks.clear()
    this.#faults = []
  }

  /** Rots one bit, on the medium and in the cache. */
  flipBit(path: string, position: number, bit: number): void {
    const inode = this.#inode(path)
    assert(position < inode.now.length, 'the bit lies in the file')
    inode.now[position]! ^= 1 << bit
    inode.durable[position]! ^= 1 << bit
  }

  /** A copy of the file's bytes as programs see them. */
  content(path: string): Buffer {
    return Buffer.from(this.#inode(path).now)
  }

  get usedBytes(): number {
    let sectors = 0
    for (const inode of new Set(this.#names.values())) sectors += inode.allocated.size
    return sectors * SECTOR_BYTES
  }

  open(path: string, mode: OpenMode): DiskFile {
    this.#meet('open', path)
    const there = this.#names.get(path)
    if (mode !== OpenMode.CREATE) {
      const hasMode = mode !== OpenMode.READ_BLOCKS || this.directBlockBytes > 0
      if (!hasMode) throw new DiskError('open', path, 'EINVAL', 'EINVAL: no direct reads')
      if (there === undefined) throw new DiskError('open', path, 'ENOENT', 'ENOENT: no such file')
      return new FakeFile(this, path, there, this.#life)
    }
    if (there !== undefined) throw new DiskError('open', path, 'EEXIST', 'EEXIST: file exists')
    assert(this.#directories.has(dirname(path)), `directory ${dirname(path)} exists`)
    this.beforeChange()
    const inode = new Inode()
    this.#change({ kind: 'set', path, inode })
    return new FakeFile(this, path, inode, this.#life)
  }

  openDirect(path: string): DirectFile | undefined {
    if (this.directBlockBytes === 0) return undefined
    this.#meet('open', path)
    return new FakeDirectFile(this, new FakeFile(this, path, this.#inode(path), this.#life))
  }

  exists(path: string): boolean {
    return this.#names.has(path) || this.#directories.has(path)
  }

  list(directory: string): string[] {
    const names: string[] = []
    for (const path of this.#names.keys()) {
      if (dirname(path) === directory) names.push(path.slice(directory.length + 1))
    }
    return names.sort()
  }

  /**
   * Directories are durable at once: the store syncs them before it puts anything of worth there.
   */
  makeDirectory(directory: string): void {
    for (let path = directory; path !== dirname(path); path = dirname(path)) {
      this.#directories.add(path)
    }
  }

  rename(from: string, to: string): void {
    this.#meet('rename', from)
    const inode = this.#inode(from)
    this.beforeChange()
    this.#change({ kind: 'rename', from, to, inode })
  }

  remove(path: string): void {
    this.#meet('remove', path)
    this.#inode(path)
    this.beforeChange()
    this.#change({ kind: 'remove', path })
  }

  syncDirectory(directory: string): void {
    this.#meet('fsync directory', directory)
    this.beforeChange()
    const ofDirectory = (change: NameChange): boolean =>
      dirname(change.kind === 'rename' ? change.to : change.path) === directory
    for (const change of this.#changes) {
      if (ofDirectory(change)) apply(this.#durableNames, change)
    }
    this.#changes = this.#changes.filter((change) => !ofDirectory(change))
  }

  freeBytes(_directory: string): number {
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return this.capacityBytes
    return Math.max(0, this.capacityBytes - this.usedBytes)
  }

  usedRatio(_directory: string): number {
    return this.shownUsedRatio
  }

  lock(path: string): StoreLock {
    if (this.#locks.has(path)) throw new LedgerError('BAD_REQUEST', `${path} is held`)
    this.#locks.add(path)
    const life = this.#life
    return {
      refresh: () => {
        if (this.#life !== life) throw new LedgerError('DISK_FAILED', `${path} was taken away`)
      },
      release: () => {
        if (this.#life === life) this.#locks.delete(path)
      },
    }
  }

  /** How much of a write that fails was done. */
  partOf(sizeBytes: number): number {
    const dice = this.#random()
    if (dice < 0.5) return 0
    // The first bytes are headers: cut there now and then.
    const most = dice < 0.7 ? Math.min(sizeBytes, 64) : sizeBytes
    return randomBetween(this.#random, 0, most + 1)
  }

  /** For open files: throws the fault that is due, or stops a file of a life before. */
  meet(operation: FakeOperation, path: string, life: number): void {
    assert(life === this.#life, 'a crash closes all files')
    this.#meet(operation, path)
    if (operation !== 'read') this.beforeChange()
  }

  #meet(operation: FakeOperation, path: string): void {
    this.trace(operation, path)
    for (const entry of this.#faults) {
      if (entry.fault.operation !== operation || !path.includes(entry.fault.path)) continue
      if (entry.left-- > 0) continue
      if (entry.fault.sticky !== true) this.#faults = this.#faults.filter((it) => it !== entry)
      throw new DiskError(operation, path, entry.fault.errno, `${entry.fault.errno}: injected`)
    }
  }

  #change(change: NameChange): void {
    apply(this.#names, change)
    this.#changes.push(change)
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path)
    if (inode === undefined) throw new DiskError('open', path, 'ENOENT', 'ENOENT: no such file')
    return inode
  }

  #crashInode(inode: Inode): void {
    if (inode.settled) return
    const length = this.#random() < 0.5 ? inode.durable.length : inode.now.length
    const left = Buffer.alloc(length)
    inode.durable.copy(left)
    // All or nothing of what was written last is the common case in life; a mixture finds more.
    const chance = [0, 0.5, 0.9, 1][randomBetween(this.#random, 0, 4)]!
    for (const sector of inode.unsynced) {
      if (this.#random() >= chance) continue
      const start = sector * SECTOR_BYTES
      if (start < Math.min(length, inode.now.length))
        inode.now.copy(left, start, start, start + SECTOR_BYTES)
    }
    inode.now = left
    inode.durable = Buffer.from(left)
    inode.unsynced.clear()
    inode.settled = true
    inode.lost = false
  }
}

class FakeFile implements DiskFile {
  readonly path: string
  readonly #disk: FakeDisk
  readonly #inode: Inode
  readonly #life: number

  constructor(disk: FakeDisk, path: string, inode: Inode, life: number) {
    this.#disk = disk
    this.path = path
    this.#inode = inode
    this.#life = life
  }

  writeAt(bytes: Uint8Array, offset: number, sizeBytes: number, position: number): void {
    try {
      this.#disk.meet('write', this.path, this.#life)
      this.#takeSpace(position, sizeBytes)
    } catch (error) {
      this.#put(bytes, offset, this.#disk.partOf(sizeBytes), position)
      throw error
    }
    this.#put(bytes, offset, sizeBytes, position)
  }

  #put(bytes: Uint8Array, offset: number, sizeBytes: number, position: number): void {
    if (sizeBytes === 0) return
    this.#extend(position + sizeBytes)
    this.#inode.now.set(bytes.subarray(offset, offset + sizeBytes), position)
    this.#touch(position, sizeBytes)
  }

  readAt(target: Uint8Array, offset: number, sizeBytes: number, position: number): number {
    this.#disk.meet('read', this.path, this.#life)
    const part = this.#inode.now.subarray(position, position + sizeBytes)
    target.set(part, offset)
    return part.length
  }

  async readAtAsync(
    target: Uint8Array,
    offset: number,
    sizeBytes: number,
    position: number,
  ): Promise<number> {
    return this.readAt(target, offset, sizeBytes, position)
  }

  /** A write and a sync of just its bytes; either may fail. */
  writeDurably(bytes: Uint8Array, position: number): void {
    assert(position + bytes.length <= this.#inode.now.length, 'the file does not get longer')
    this.writeAt(bytes, 0, bytes.length, position)
    const sectors = sectorsOf(position, bytes.length)
    try {
      this.#disk.meet('fdatasync', this.path, this.#life)
    } catch (error) {
      if (error instanceof DiskError) {
        for (const sector of sectors) this.#inode.unsynced.delete(sector)
        this.#inode.lost = true
      }
      throw error
    }
    this.#makeDurable(sectors)
  }

  sync(): void {
    this.#sync('fdatasync')
  }

  syncMetadata(): void {
    this.#sync('fsync')
  }

  /**
   * As Linux does it: a sync that fails leaves the pages in the cache and calls them clean, so that
   * the next one succeeds and writes nothing of them.
   */
  #sync(operation: 'fdatasync' | 'fsync'): void {
    try {
      this.#disk.meet(operation, this.path, this.#life)
    } catch (error) {
      if (error instanceof DiskError) {
        this.#inode.unsynced.clear()
        this.#inode.lost = true
      }
      throw error
    }
    this.#makeDurable(this.#inode.unsynced)
  }

  setLength(sizeBytes: number): void {
    this.#disk.meet('truncate', this.path, this.#life)
    const before = this.#inode.now
    this.#inode.settled = false
    if (sizeBytes >= before.length) {
      this.#extend(sizeBytes)
      return
    }
    this.#inode.now = Buffer.from(before.subarray(0, sizeBytes))
    for (const sector of this.#inode.allocated) {
      if (sector * SECTOR_BYTES >= sizeBytes) this.#inode.allocated.delete(sector)
    }
    this.#touch(sizeBytes, before.length - sizeBytes)
  }

  sizeBytes(): number {
    return this.#inode.now.length
  }

  close(): void {}

  /** The sectors, and the length. */
  #makeDurable(sectors: Iterable<number>): void {
    const { now, unsynced } = this.#inode
    if (this.#inode.durable.length !== now.length) {
      const resized = Buffer.alloc(now.length)
      this.#inode.durable.copy(resized)
      this.#inode.durable = resized
    }
    for (const sector of sectors) {
      unsynced.delete(sector)
      const start = sector * SECTOR_BYTES
      if (start >= now.length) continue
      now.copy(this.#inode.durable, start, start, Math.min(now.length, start + SECTOR_BYTES))
    }
    this.#inode.settled = unsynced.size === 0 && !this.#inode.lost
  }

  #extend(sizeBytes: number): void {
    this.#inode.settled = false
    if (sizeBytes <= this.#inode.now.length) return
    const longer = Buffer.alloc(sizeBytes)
    this.#inode.now.copy(longer)
    this.#inode.now = longer
  }

  #touch(position: number, sizeBytes: number): void {
    for (const sector of sectorsOf(position, sizeBytes)) this.#inode.unsynced.add(sector)
  }

  #takeSpace(position: number, sizeBytes: number): void {
    const { allocated } = this.#inode
    const wanted = sectorsOf(position, sizeBytes).filter((sector) => !allocated.has(sector))
    if (wanted.length * SECTOR_BYTES > this.#disk.freeBytes(this.path)) {
      throw new DiskError('write', this.path, 'ENOSPC', 'ENOSPC: no space left on device')
    }
    for (const sector of wanted) this.#inode.allocated.add(sector)
  }
}

class FakeDirectFile implements DirectFile {
  readonly blockBytes: number
  readonly #disk: FakeDisk
  readonly #file: FakeFile

  constructor(disk: FakeDisk, file: FakeFile) {
    this.blockBytes = disk.directBlockBytes
    this.#disk = disk
    this.#file = file
  }

  write(parts: readonly Uint8Array[], position: number): boolean {
    for (const part of parts) {
      assert(part.byteOffset % this.blockBytes === 0, 'memory begins on a block')
      assert(part.length > 0 && part.length % this.blockBytes === 0, 'parts are whole blocks')
    }
    assert(position % this.blockBytes === 0, 'a direct write begins on a block')
    if (this.#disk.directWritesLeft-- <= 0) return false
    this.#file.writeDurably(Buffer.concat(parts), position)
    return true
  }

  close(): void {
    this.#file.close()
  }
}

function sectorsOf(position: number, sizeBytes: number): number[] {
  const first = Math.floor(position / SECTOR_BYTES)
  const count = Math.ceil((position + sizeBytes) / SECTOR_BYTES) - first
  return Array.from({ length: count }, (_, index) => first + index)
}

function apply(names: Map<string, Inode>, change: NameChange): void {
  switch (change.kind) {
    case 'set':
      names.set(change.path, change.inode)
      return
    case 'rename':
      names.delete(change.from)
      names.set(change.to, change.inode)
      return
    default:
      names.delete(change.path)
  }
}
