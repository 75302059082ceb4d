/**
 * `ringledger-dispatch`: how far queues and index can be trusted after a restart. Two slots written
 * in turn, each with a checksum, so that a torn write leaves the one before. Invariants:
 * `handedOver` was written when everything below its position was in the kernel's hands, `synced`
 * when it was on the disk.
 */
import { closeSync, fdatasyncSync, ftruncateSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { onDisk, onSync, readFully, syncDirectory, writeFully } from '@ringledger/base/internal'
import { crc32 } from '@ringledger/protocol'
import type { IndexMark } from './key-index.ts'

const SLOT_BYTES = 4096
const HEADER_BYTES = 8

/** The state of queues and index when everything below `position` was dispatched. */
export interface DispatchMark {
  position: number
  unitTotal: number
  queueTotal: number
  index: IndexMark
  /** End of the newest state record below `position`. */
  stateEnd: number
}

export interface Checkpoint {
  sequence: number
  /** Identifies the run of the machine, see `readBootId`. */
  bootId: string
  handedOver: DispatchMark
  synced: DispatchMark
}

/** The kernel's id of this boot; a text that never repeats where there is none. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return `unknown ${process.pid} ${Date.now()}`
  }
}

export class CheckpointFile {
  readonly #path: string
  readonly #descriptor: number
  #sequence: number
  /** What the file said when it was opened; undefined when it was not there or damaged. */
  readonly found: Checkpoint | undefined

  constructor(path: string) {
    this.#path = path
    this.#descriptor = onDisk(`checkpoint ${path}`, () => openCreated(path))
    const slots = [0, 1].map((slot) => readSlot(this.#descriptor, slot))
    this.found = newest(slots)
    this.#sequence = this.found?.sequence ?? 0
  }

  /** Hands the checkpoint to the kernel. */
  write(checkpoint: Omit<Checkpoint, 'sequence'>): void {
    const sequence = this.#sequence + 1
    const text = Buffer.from(JSON.stringify({ ...checkpoint, sequence }))
    const slot = Buffer.alloc(SLOT_BYTES)
    slot.writeInt32BE(text.length, 0)
    slot.writeInt32BE(crc32(text, 0, text.length) | 0, 4)
    text.copy(slot, HEADER_BYTES)
    writeFully(this.#descriptor, slot, 0, SLOT_BYTES, (sequence % 2) * SLOT_BYTES, 'checkpoint')
    this.#sequence = sequence
  }

  /** With the names beside it: of the file itself, and of the directories of queues and index. */
  sync(): void {
    syncDirectory(dirname(this.#path))
    onSync(`sync of ${this.#path}`, () => fdatasyncSync(this.#descriptor))
  }

  /** Nothing can be trusted any more: forgotten on the disk before what follows is undone. */
  erase(): void {
    onDisk(`erasure of ${this.#path}`, () => ftruncateSync(this.#descriptor, 0))
    this.sync()
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}

function openCreated(path: string): number {
  try {
    return openSync(path, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return openSync(path, 'w+')
  }
}

function readSlot(descriptor: number, slot: number): Checkpoint | undefined {
  const bytes = Buffer.alloc(SLOT_BYTES)
  readFully(descriptor, bytes, 0, SLOT_BYTES, slot * SLOT_BYTES, 'checkpoint')
  const length = bytes.readInt32BE(0)
  if (length <= 0 || length > SLOT_BYTES - HEADER_BYTES) return undefined
  const end = HEADER_BYTES + length
  if ((crc32(bytes, HEADER_BYTES, end) | 0) !== bytes.readInt32BE(4)) return undefined
  return JSON.parse(bytes.toString('utf8', HEADER_BYTES, end)) as Checkpoint
}

function newest(slots: (Checkpoint | undefined)[]): Checkpoint | undefined {
  const [first, second] = slots
  if (first === undefined || second === undefined) return first ?? second
  return first.sequence > second.sequence ? first : second
}
