/**
 * The broker thread's writing end of one ring to another thread. Owns the rule that a full ring is
 * waited for: its reader is an event loop that never waits for the broker thread, so the wait ends.
 */
import { assert } from '@ringledger/base'
import type { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { PART_BYTES, PART_HEAD_BYTES } from './core-port-frames.ts'

const FULL_RING_WAIT_MS = 5

export class PortWriter {
  readonly ring: SpscRing
  readonly #readerBell: Doorbell
  readonly #ownBell: Doorbell
  readonly #beforeWait: () => void

  /**
   * `beforeWait` publishes what all rings hold, in the order that their readers rely on. It throws
   * when nobody reads any more.
   */
  constructor(ring: SpscRing, readerBell: Doorbell, ownBell: Doorbell, beforeWait: () => void) {
    this.ring = ring
    this.#readerBell = readerBell
    this.#ownBell = ownBell
    this.#beforeWait = beforeWait
  }

  /** Offset of the payload; always followed by `ring.commit()`. @throws LedgerError CLOSED */
  claim(type: number, sizeBytes: number): number {
    let offset = this.ring.claim(sizeBytes, type)
    while (offset < 0) {
      this.#beforeWait()
      this.#ownBell.wait(FULL_RING_WAIT_MS, () => this.ring.freeBytes > 2 * sizeBytes)
      offset = this.ring.claim(sizeBytes, type)
    }
    return offset
  }

  /** Offset behind the part's head. */
  claimPart(
    type: number,
    id: number,
    totalBytes: number,
    sequence: number,
    partBytes: number,
  ): number {
    const offset = this.claim(type, PART_HEAD_BYTES + partBytes)
    const { view } = this.ring
    view.setInt32(offset, id, true)
    view.setInt32(offset + 4, totalBytes, true)
    view.setFloat64(offset + 8, sequence, true)
    return offset + PART_HEAD_BYTES
  }

  writeParts(type: number, id: number, item: Buffer, sequence: number): void {
    const totalBytes = item.length
    for (let done = 0; done < totalBytes || totalBytes === 0; ) {
      const partBytes = Math.min(PART_BYTES, totalBytes - done)
      const offset = this.claimPart(type, id, totalBytes, sequence, partBytes)
      item.copy(this.ring.bytes, offset, done, done + partBytes)
      this.ring.commit()
      done += partBytes
      if (totalBytes === 0) break
    }
  }

  writeText(type: number, text: string): void {
    const sizeBytes = Buffer.byteLength(text)
    assert(sizeBytes <= PART_BYTES, 'a text is far smaller than a part')
    const offset = this.claim(type, sizeBytes)
    this.ring.bytes.write(text, offset, 'utf8')
    this.ring.commit()
  }

  flush(): void {
    if (this.ring.publish()) this.#readerBell.ring()
  }
}
