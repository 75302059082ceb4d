/**
 * Committed bytes of the log for the importer's thread: out of the shared arena, else from the
 * files, where every entry's checksums are verified. Invariants: only what readers may see is read;
 * bytes that were overwritten while they were copied, or that fail their check, are never given
 * out.
 */
import { LedgerError } from '@ringledger/base'
import { LogFileReader, NodeDisk, type StoreConfig } from '@ringledger/io'
import {
  BLANK_HEADER_BYTES,
  checkEntry,
  ENTRY_HEADER_BYTES,
  entryChainCrc,
  entryIndex,
  entryMagic,
  entrySize,
  MAGIC_BLANK,
} from '@ringledger/protocol'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import { TrimmedError } from './ledger-errors.ts'
import { type LedgerStateReader, StateWord } from './ledger-state.ts'

/** Where reading goes on, and what is known of the entry before. */
export interface ReadPlace {
  position: number
  /** Of the next entry. */
  index: number
  /** `chainCrc` of the entry before; undefined when it was not read. */
  chainCrc: number | undefined
}

/** Whole entries, maybe with fillers between them, in memory of their own. */
export interface LogBlock {
  readonly bytes: Buffer
  readonly view: DataView
  /** Position of the first byte. */
  readonly position: number
  /** Came from a file, so that nothing in it has been checked yet. */
  readonly fromFile: boolean
}

const BLOCK_BYTES: number = 64 * 1024
const SMALL_BLOCK_BYTES: number = 4 * 1024

export interface LogBlocksParts {
  readonly arena: LogArena
  readonly state: LedgerStateReader
  readonly store: StoreConfig
  readonly segmentBytes: number
  /**
   * Resolves when no trim is under way: until then files may be gone that the state still speaks
   * of.
   */
  trims(): Promise<unknown>
  /** Bytes at `position` are not what was written. */
  onDamage(position: number): void
}

export class LogBlocks {
  readonly #parts: LogBlocksParts
  readonly #arena: LogArena
  readonly #state: LedgerStateReader
  readonly #segmentBytes: number
  readonly #files: LogFileReader
  readonly #expected: { position: number; index: number; previousChainCrc: number | undefined } = {
    position: 0,
    index: 0,
    previousChainCrc: undefined,
  }
  #storeChanges = 0
  #nextChainCrc = 0

  constructor(parts: LogBlocksParts) {
    this.#parts = parts
    this.#arena = parts.arena
    this.#state = parts.state
    this.#segmentBytes = parts.segmentBytes
    this.#files = new LogFileReader(parts.store, new NodeDisk(), parts.onDamage)
  }

  close(): void {
    this.#files.close()
  }

  /** Where the committed entry `index` starts. @throws TrimmedError; LedgerError CORRUPT */
  async positionOf(index: number): Promise<number> {
    const position = this.#fresh().entryPositionOfIndex(index)
    this.requireKept(index)
    if (position >= 0) return position
    await this.#parts.trims()
    this.requireKept(index)
    throw corrupt(`the index unit of entry ${index} is not readable`)
  }

  /** Index of the committed entry that covers `position`. @throws as `positionOf` */
  async indexAt(position: number): Promise<number> {
    const index = this.#fresh().indexOfPosition(position)
    this.#requireKeptAt(position)
    if (index >= 0) return index
    await this.#parts.trims()
    this.#requireKeptAt(position)
    throw corrupt(`no index unit covers position ${position}`)
  }

  /** @throws TrimmedError when entry `index` is no longer kept */
  requireKept(index: number): void {
    this.#state.refresh()
    if (index < this.#state.get(StateWord.firstIndex)) throw this.#trimmed()
  }

  /**
   * The bytes from `place` on, at least one whole entry and at most up to `limit`, where an entry
   * ends or a damaged one starts; undefined when there is only a filler. `small`: one entry is
   * wanted. @throws TrimmedError; LedgerError CORRUPT; DiskError
   */
  async load(place: ReadPlace, limit: number, small: boolean): Promise<LogBlock | undefined> {
    const from = place.position
    const wanted = Math.min(limit - from, small ? SMALL_BLOCK_BYTES : BLOCK_BYTES)
    let block = await this.#loadBytes(place, wanted)
    const whole = this.#wholeBytes(block)
    if (whole <= block.bytes.length) return block
    if (whole === 0) return undefined
    if (from + whole > limit) throw this.#damaged(from, 'size')
    block = await this.#loadBytes(place, whole)
    return block
  }

  /**
   * To be asked after bytes could not be read: they may belong to a log whose beginning has moved.
   * @throws TrimmedError when entry `index` is no longer kept
   */
  async settle(index: number): Promise<void> {
    await this.#parts.trims()
    this.requireKept(index)
  }

  /**
   * Checks the entry at `offset` of the block and moves `place` behind it. False: the block ends
   * within the entry, or there is only a filler. @throws LedgerError CORRUPT
   */
  next(block: LogBlock, place: ReadPlace): boolean {
    const { view, bytes } = block
    let offset = place.position - block.position
    if (bytes.length - offset < BLANK_HEADER_BYTES) return false
    if (entryMagic(view, offset) === MAGIC_BLANK) {
      const blankBytes = this.#segmentBytes - (place.position % this.#segmentBytes)
      if (entrySize(view, offset) !== blankBytes) {
        throw this.#damaged(place.position, 'filler')
      }
      place.position += blankBytes
      offset += blankBytes
      if (bytes.length - offset < BLANK_HEADER_BYTES) return false
    }
    const sizeBytes = entrySize(view, offset)
    if (bytes.length - offset < Math.max(sizeBytes, ENTRY_HEADER_BYTES)) return false
    this.#check(block, offset, place)
    this.#nextChainCrc = entryChainCrc(view, offset)
    return true
  }

  /** Moves `place` behind the entry that `next` found. */
  pass(block: LogBlock, place: ReadPlace): void {
    place.position += entrySize(block.view, place.position - block.position)
    place.index += 1
    place.chainCrc = this.#nextChainCrc
  }

  #check(block: LogBlock, offset: number, place: ReadPlace): void {
    const { bytes, view } = block
    if (!block.fromFile) {
      if (entryIndex(view, offset) === place.index) return
      throw corrupt(`the arena has entry ${entryIndex(view, offset)} for ${place.index}`)
    }
    const expected = this.#expected
    expected.position = place.position
    expected.index = place.index
    expected.previousChainCrc = place.chainCrc
    const found = checkEntry(bytes, view, offset, bytes.length - offset, expected)
    const apaches = found === 'legacy' && (place.chainCrc ?? 0) === 0
    if (found === 'ok' || apaches) return
    throw this.#damaged(place.position, found)
  }

  /** Bytes up to the end of the first entry, as far as the block shows it; 0: only a filler. */
  #wholeBytes(block: LogBlock): number {
    const { bytes, view } = block
    let end = 0
    if (bytes.length >= BLANK_HEADER_BYTES && entryMagic(view, 0) === MAGIC_BLANK) {
      end = this.#segmentBytes - (block.position % this.#segmentBytes)
    }
    if (end > 0 && bytes.length === end) return 0
    if (bytes.length < end + BLANK_HEADER_BYTES) return end + ENTRY_HEADER_BYTES
    const sizeBytes = entrySize(view, end)
    if (sizeBytes < ENTRY_HEADER_BYTES || sizeBytes > this.#segmentBytes) {
      throw this.#damaged(block.position + end, 'size')
    }
    return end + sizeBytes
  }

  async #loadBytes(place: ReadPlace, sizeBytes: number): Promise<LogBlock> {
    const { position } = place
    const bytes = Buffer.allocUnsafeSlow(sizeBytes)
    const view = new DataView(bytes.buffer, bytes.byteOffset, sizeBytes)
    if (this.#copyFromArena(position, bytes)) return { bytes, view, position, fromFile: false }
    if (place.chainCrc === undefined) place.chainCrc = await this.#chainCrcBefore(place.index)
    await this.#readFiles(position, bytes)
    this.requireKept(place.index)
    return { bytes, view, position, fromFile: true }
  }

  #copyFromArena(position: number, target: Buffer): boolean {
    const arena = this.#arena
    if (!arena.holds(position)) return false
    arena.forEachPiece(position, position + target.length, (at, offset, sizeBytes) => {
      arena.bytes.copy(target, at - position, offset, offset + sizeBytes)
    })
    return arena.holds(position)
  }

  async #chainCrcBefore(index: number): Promise<number | undefined> {
    this.#state.refresh()
    if (index === 0) return 0
    if (index <= this.#state.get(StateWord.firstIndex)) return undefined
    const header = Buffer.allocUnsafeSlow(ENTRY_HEADER_BYTES)
    try {
      await this.#readFiles(await this.positionOf(index - 1), header)
    } catch (error) {
      // The entry itself may be the first one that is kept now, and the file before it gone.
      await this.#parts.trims()
      this.#state.refresh()
      if (index > this.#state.get(StateWord.firstIndex)) throw error
      return undefined
    }
    return entryChainCrc(new DataView(header.buffer, 0, ENTRY_HEADER_BYTES), 0)
  }

  async #readFiles(position: number, target: Buffer): Promise<void> {
    try {
      await this.#fresh().readAsync(position, position + target.length, target)
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== 'BAD_REQUEST') throw error
      await this.#parts.trims()
      this.#requireKeptAt(position)
      throw corrupt(error.message)
    }
  }

  /** The files, with nothing known of ones that were cut or deleted since. */
  #fresh(): LogFileReader {
    const changes = this.#state.storeChanges
    if (changes !== this.#storeChanges) {
      this.#files.forget(0)
      this.#storeChanges = changes
    }
    return this.#files
  }

  #requireKeptAt(position: number): void {
    this.#state.refresh()
    if (position < this.#state.get(StateWord.firstPosition)) throw this.#trimmed()
  }

  /** The IO thread looks at it, and has it repaired by another member. */
  #damaged(position: number, reason: string): LedgerError {
    return this.#files.damaged(position, reason)
  }

  #trimmed(): TrimmedError {
    return new TrimmedError(this.#state.get(StateWord.firstIndex))
  }
}

function corrupt(what: string): LedgerError {
  return new LedgerError('CORRUPT', `${what}; it is not given out`)
}
