/**
 * A small record that is overwritten in place and survives torn writes: two slots, 4 KiB apart,
 * each with its checksum and a sequence number; the valid slot with the higher sequence counts.
 * Owns the invariant that a write never touches the only valid slot: the other slot is synced
 * before this one is overwritten, and read back before that, since it may have rotted.
 */
import { assert, LedgerError } from '@ringledger/base'
import { crc32 } from '@ringledger/protocol'
import { type Disk, type DiskFile, OpenMode } from './disk.ts'

const SLOT_BYTES = 4096
const SLOTS = 2
const MAGIC_AT = 0
const SEQUENCE_AT = 8
const PAYLOAD_BYTES_AT = 16
const CRC_AT = 20
const PAYLOAD_AT = 24
export const MAX_SLOT_PAYLOAD_BYTES: number = 512 - PAYLOAD_AT

export const SlotFileState = {
  ABSENT: 'absent',
  /** At least one slot is valid. */
  VALID: 'valid',
  /** The file is there and neither slot is valid. */
  LOST: 'lost',
} as const
export type SlotFileState = (typeof SlotFileState)[keyof typeof SlotFileState]

export class SlotFile {
  readonly #disk: Disk
  readonly #path: string
  readonly #magic: number
  readonly #slot: Buffer = Buffer.alloc(SLOT_BYTES)
  readonly #view: DataView
  #file: DiskFile | undefined
  #sequence = 0
  #next = 0
  #unsynced = false

  /** `magic` tells one kind of record from another. */
  constructor(disk: Disk, path: string, magic: number) {
    this.#disk = disk
    this.#path = path
    this.#magic = magic
    this.#view = new DataView(this.#slot.buffer, this.#slot.byteOffset, SLOT_BYTES)
  }

  /**
   * Opens the file if it is there; `payload` (empty unless VALID) is a copy. Call once, before any
   * write.
   */
  read(): { state: SlotFileState; payload: Buffer } {
    const none = Buffer.alloc(0)
    if (!this.#disk.exists(this.#path)) return { state: SlotFileState.ABSENT, payload: none }
    this.#file = this.#disk.open(this.#path, OpenMode.WRITE)
    let payload: Buffer | undefined
    for (let slot = 0; slot < SLOTS; slot++) {
      const sequence = this.#readSlot(this.#file, slot)
      if (sequence <= this.#sequence) continue
      this.#sequence = sequence
      this.#next = 1 - slot
      payload = Buffer.from(this.#slot.subarray(PAYLOAD_AT, PAYLOAD_AT + this.#payloadBytes()))
    }
    if (payload === undefined) return { state: SlotFileState.LOST, payload: none }
    return { state: SlotFileState.VALID, payload }
  }

  /**
   * Replaces whatever is there by a file whose two slots hold `payload`; durable on return, name
   * included.
   */
  create(payload: Buffer, directory: string): void {
    this.close()
    const temporary = `${this.#path}.tmp`
    if (this.#disk.exists(temporary)) this.#disk.remove(temporary)
    const file = this.#disk.open(temporary, OpenMode.CREATE)
    this.#file = file
    for (let slot = 0; slot < SLOTS; slot++) this.#write(file, payload)
    file.syncMetadata()
    this.#disk.rename(temporary, this.#path)
    this.#disk.syncDirectory(directory)
    this.#unsynced = false
  }

  /**
   * Overwrites the older slot; durable at the next `writeLazily`, `writeBoth` or by the kernel's
   * own pace.
   */
  writeLazily(payload: Buffer): void {
    const file = this.#opened()
    if (this.#unsynced) file.sync()
    this.#avoidOnlyValid(file)
    this.#write(file, payload)
    this.#unsynced = true
  }

  /** Both slots hold `payload`, durable on return: one rotten slot later loses nothing. */
  writeBoth(payload: Buffer): void {
    const file = this.#opened()
    if (this.#unsynced) file.sync()
    this.#avoidOnlyValid(file)
    for (let slot = 0; slot < SLOTS; slot++) {
      this.#write(file, payload)
      file.sync()
    }
    this.#unsynced = false
  }

  close(): void {
    this.#file?.close()
    this.#file = undefined
  }

  /** Damaged copies, as the file stands; a record written once leaves both whole. */
  damagedCopies(): number {
    let damaged = 0
    for (let slot = 0; slot < SLOTS; slot++) {
      const isRecord = this.#readSlot(this.#opened(), slot) > 0
      const end = PAYLOAD_AT + (isRecord ? this.#payloadBytes() : 0)
      if (!isRecord || this.#slot.subarray(end).some((byte) => byte !== 0)) damaged++
    }
    return damaged
  }

  #opened(): DiskFile {
    assert(this.#file !== undefined, 'a slot file is opened or created before it is written')
    return this.#file
  }

  /** A write that power loss tears must leave a valid slot behind: the rotten one goes first. */
  #avoidOnlyValid(file: DiskFile): void {
    const other = 1 - this.#next
    if (this.#readSlot(file, other) === 0) this.#next = other
  }

  #write(file: DiskFile, payload: Buffer): void {
    assert(payload.length <= MAX_SLOT_PAYLOAD_BYTES, 'a record fits one sector')
    this.#sequence++
    this.#slot.fill(0)
    this.#view.setUint32(MAGIC_AT, this.#magic)
    this.#view.setFloat64(SEQUENCE_AT, this.#sequence)
    this.#view.setUint32(PAYLOAD_BYTES_AT, payload.length)
    payload.copy(this.#slot, PAYLOAD_AT)
    this.#view.setUint32(CRC_AT, checksumOfSlot(this.#slot, payload.length))
    file.writeAt(this.#slot, 0, SLOT_BYTES, this.#next * SLOT_BYTES)
    this.#next = 1 - this.#next
  }

  /** Sequence of the slot now in the buffer, 0 if it is not valid. */
  #readSlot(file: DiskFile, slot: number): number {
    this.#slot.fill(0)
    file.readAt(this.#slot, 0, SLOT_BYTES, slot * SLOT_BYTES)
    if (this.#view.getUint32(MAGIC_AT) !== this.#magic) return 0
    return sequenceOfSlot(this.#slot)
  }

  #payloadBytes(): number {
    return this.#view.getUint32(PAYLOAD_BYTES_AT)
  }
}

/** Sequence of one slot of a file of any kind, 0 if its checksum or a field is wrong. */
export function sequenceOfSlot(slot: Buffer): number {
  if (slot.length < SLOT_BYTES) return 0
  const view = new DataView(slot.buffer, slot.byteOffset, slot.length)
  const payloadBytes = view.getUint32(PAYLOAD_BYTES_AT)
  if (payloadBytes > MAX_SLOT_PAYLOAD_BYTES) return 0
  if (view.getUint32(CRC_AT) !== checksumOfSlot(slot, payloadBytes)) return 0
  const sequence = view.getFloat64(SEQUENCE_AT)
  return Number.isSafeInteger(sequence) && sequence > 0 ? sequence : 0
}

/** Over everything but the checksum itself. */
function checksumOfSlot(slot: Buffer, payloadBytes: number): number {
  const head = crc32(slot, 0, CRC_AT)
  return crc32(slot, PAYLOAD_AT, PAYLOAD_AT + payloadBytes, head)
}

/** For a record whose loss must stop the node. */
export function refuseLost(path: string, what: string): LedgerError {
  return new LedgerError(
    'CORRUPT',
    `neither copy of the ${what} in ${path} is readable: this node cannot know what it has ` +
      'promised. Move its directory away and let it join again empty.',
  )
}
