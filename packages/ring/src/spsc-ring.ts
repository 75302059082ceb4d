/**
 * A byte ring between one producer thread and one consumer thread. Owns the invariants: frames are
 * contiguous and come out in the order they went in; the consumer sees a frame only after
 * `publish`; the producer never overwrites an unconsumed frame. Nothing here blocks, allocates or
 * wakes: who sleeps has a {@link Doorbell}.
 */
import { assert, LedgerError } from '@ringledger/base'
import {
  alignUp,
  FRAME_ALIGN_BYTES,
  FRAME_HEADER_BYTES,
  MAX_RING_BYTES,
  MIN_RING_BYTES,
  PAD_TYPE,
  RING_CAPACITY_WORD,
  RING_CONSUMED_WORD,
  RING_DATA_OFFSET,
  RING_MAGIC,
  RING_MAGIC_WORD,
  RING_PUBLISHED_WORD,
  RING_STARVED_WORD,
} from './layout.ts'
import { allocateRegion } from './region.ts'
import { sequenceAdvance, sequenceDistance } from './sequence.ts'

/**
 * Gets one frame; `offset` counts in {@link SpscRing.bytes} and is valid during the call. Answer
 * false to keep the frame.
 */
export type OnFrame =
  | ((type: number, offset: number, sizeBytes: number) => void)
  | ((type: number, offset: number, sizeBytes: number) => boolean)

export class SpscRing {
  readonly shared: SharedArrayBuffer
  readonly capacityBytes: number
  /** The largest payload that is sure to fit once the ring is empty. */
  readonly maxPayloadBytes: number
  /** The data region; frame offsets count in it. */
  readonly bytes: Buffer
  readonly view: DataView

  readonly #control: Int32Array
  readonly #words: Int32Array
  readonly #mask: number

  #claimed: number
  #published: number
  #consumedSeen: number
  #claimStart = 0
  #claimBytes = -1

  #consumed: number
  #publishedSeen: number
  #draining = false

  /** `capacityBytes`: a power of two from 64 bytes to 1 GiB. */
  static allocate(capacityBytes: number): SharedArrayBuffer {
    assert(
      capacityBytes >= MIN_RING_BYTES &&
        capacityBytes <= MAX_RING_BYTES &&
        Number.isInteger(Math.log2(capacityBytes)),
      'the capacity of a ring is a power of two from 64 bytes to 1 GiB',
    )
    const shared = allocateRegion(RING_DATA_OFFSET + capacityBytes)
    const control = new Int32Array(shared, 0, RING_DATA_OFFSET / 4)
    control[RING_CAPACITY_WORD] = capacityBytes
    Atomics.store(control, RING_MAGIC_WORD, RING_MAGIC)
    return shared
  }

  /**
   * Attaches to a ring. Each end makes its own object; one object may serve both ends within a
   * thread.
   */
  constructor(shared: SharedArrayBuffer) {
    this.#control = new Int32Array(shared, 0, RING_DATA_OFFSET / 4)
    assert(Atomics.load(this.#control, RING_MAGIC_WORD) === RING_MAGIC, 'not a ring region')
    const capacityBytes = this.#control[RING_CAPACITY_WORD]!
    this.shared = shared
    this.capacityBytes = capacityBytes
    this.maxPayloadBytes = capacityBytes / 2 - FRAME_HEADER_BYTES
    this.bytes = Buffer.from(shared, RING_DATA_OFFSET, capacityBytes)
    this.view = new DataView(shared, RING_DATA_OFFSET, capacityBytes)
    this.#words = new Int32Array(shared, RING_DATA_OFFSET, capacityBytes / 4)
    this.#mask = capacityBytes - 1
    this.#published = Atomics.load(this.#control, RING_PUBLISHED_WORD)
    this.#consumed = Atomics.load(this.#control, RING_CONSUMED_WORD)
    this.#claimed = this.#published
    this.#consumedSeen = this.#consumed
    this.#publishedSeen = this.#published
  }

  /**
   * Producer: room for a payload of `sizeBytes` as one piece. Returns its offset in {@link bytes},
   * or -1 when the ring is full; the consumer's {@link takeStarved} then says so once it has made
   * room. A claim that was not committed is forgotten.
   * @throws LedgerError TOO_LARGE above {@link maxPayloadBytes}; nothing was written.
   */
  claim(sizeBytes: number, type: number): number {
    if (sizeBytes < 0 || sizeBytes > this.maxPayloadBytes) {
      throw new LedgerError(
        'TOO_LARGE',
        `a frame of ${sizeBytes} bytes does not fit a ring of ${this.capacityBytes}`,
      )
    }
    assert(type >= 0, 'frame types start at 0')
    const frameBytes = alignUp(FRAME_HEADER_BYTES + sizeBytes, FRAME_ALIGN_BYTES)
    const offset = this.#claimed & this.#mask
    const toLapEnd = this.capacityBytes - offset
    const padBytes = frameBytes > toLapEnd ? toLapEnd : 0
    if (!this.#hasRoom(padBytes + frameBytes)) return -1
    let start = this.#claimed
    if (padBytes > 0) {
      this.#words[offset >> 2] = padBytes - FRAME_HEADER_BYTES
      this.#words[(offset >> 2) + 1] = PAD_TYPE
      start = sequenceAdvance(start, padBytes)
    }
    const frameOffset = start & this.#mask
    this.#words[frameOffset >> 2] = sizeBytes
    this.#words[(frameOffset >> 2) + 1] = type
    this.#claimStart = start
    this.#claimBytes = sizeBytes
    return frameOffset + FRAME_HEADER_BYTES
  }

  /**
   * Producer: the claimed frame joins the unpublished batch; `sizeBytes` may shorten it to what was
   * really written.
   */
  commit(sizeBytes: number = this.#claimBytes): void {
    assert(
      this.#claimBytes >= 0 && sizeBytes >= 0 && sizeBytes <= this.#claimBytes,
      'commit follows a claim and does not outgrow it',
    )
    this.#words[(this.#claimStart & this.#mask) >> 2] = sizeBytes
    const frameBytes = alignUp(FRAME_HEADER_BYTES + sizeBytes, FRAME_ALIGN_BYTES)
    this.#claimed = sequenceAdvance(this.#claimStart, frameBytes)
    this.#claimBytes = -1
  }

  /** Producer: gives the last claim back. */
  abort(): void {
    this.#claimBytes = -1
  }

  /**
   * Producer: hands the committed batch to the consumer. True if there was anything; then ring its
   * doorbell.
   */
  publish(): boolean {
    if (this.#claimed === this.#published) return false
    this.#published = this.#claimed
    Atomics.store(this.#control, RING_PUBLISHED_WORD, this.#claimed)
    return true
  }

  /** Producer: bytes not taken, frame headers and a pad at the lap's end included. */
  get freeBytes(): number {
    this.#consumedSeen = Atomics.load(this.#control, RING_CONSUMED_WORD)
    return this.capacityBytes - sequenceDistance(this.#claimed, this.#consumedSeen)
  }

  /** Consumer: whether a published frame waits. */
  get pending(): boolean {
    if (this.#publishedSeen !== this.#consumed) return true
    this.#publishedSeen = Atomics.load(this.#control, RING_PUBLISHED_WORD)
    return this.#publishedSeen !== this.#consumed
  }

  /**
   * Consumer: visits what is published, at most `maxFrames`, and gives the room back. Returns how
   * many frames were consumed. A visitor that answers false keeps its frame, as does one that
   * throws; the frames before it are consumed.
   */
  drain(onFrame: OnFrame, maxFrames: number = Number.POSITIVE_INFINITY): number {
    assert(!this.#draining, 'drain does not nest')
    const end = Atomics.load(this.#control, RING_PUBLISHED_WORD)
    this.#publishedSeen = end
    let sequence = this.#consumed
    if (sequence === end) return 0
    let frames = 0
    this.#draining = true
    try {
      while (sequence !== end && frames < maxFrames) {
        const offset = sequence & this.#mask
        const sizeBytes = this.#words[offset >> 2]!
        const type = this.#words[(offset >> 2) + 1]!
        const frameBytes = alignUp(FRAME_HEADER_BYTES + sizeBytes, FRAME_ALIGN_BYTES)
        assert(
          sizeBytes >= 0 && frameBytes <= sequenceDistance(end, sequence),
          'a ring frame lies within what was published',
        )
        if (type !== PAD_TYPE) {
          if (onFrame(type, offset + FRAME_HEADER_BYTES, sizeBytes) === false) break
          frames++
        }
        sequence = sequenceAdvance(sequence, frameBytes)
        // A long batch gives room back on the way, so that the producer need not wait for its end.
        if (sequenceDistance(sequence, this.#consumed) >= this.capacityBytes >> 2) {
          this.#release(sequence)
        }
      }
    } finally {
      this.#draining = false
      if (sequence !== this.#consumed) this.#release(sequence)
    }
    return frames
  }

  /**
   * Consumer, after a drain: true once if the producer met a full ring; then ring the producer's
   * doorbell.
   */
  takeStarved(): boolean {
    return (
      Atomics.load(this.#control, RING_STARVED_WORD) === 1 &&
      Atomics.exchange(this.#control, RING_STARVED_WORD, 0) === 1
    )
  }

  #release(sequence: number): void {
    this.#consumed = sequence
    Atomics.store(this.#control, RING_CONSUMED_WORD, sequence)
  }

  #hasRoom(sizeBytes: number): boolean {
    const limit = this.capacityBytes - sizeBytes
    if (sequenceDistance(this.#claimed, this.#consumedSeen) <= limit) return true
    this.#consumedSeen = Atomics.load(this.#control, RING_CONSUMED_WORD)
    if (sequenceDistance(this.#claimed, this.#consumedSeen) <= limit) return true
    // The flag goes up before the last look: a consumer that releases in between either is seen or
    // sees the flag.
    Atomics.store(this.#control, RING_STARVED_WORD, 1)
    this.#consumedSeen = Atomics.load(this.#control, RING_CONSUMED_WORD)
    return sequenceDistance(this.#claimed, this.#consumedSeen) <= limit
  }
}
