/**
 * Reads a log that is cut into files of one length, forwards, through one window that only grows
 * for a message longer than it. What begins in a file ends in it, and so does every window.
 */
import { closeSync, openSync } from 'node:fs'
import { assert } from '@ringledger/base'
import { readFully } from '@ringledger/base/internal'
import type { LogFile } from '../store-files.ts'

const WINDOW_BYTES = 8 * 1024 * 1024

export class LogWindow {
  readonly #files: ReadonlyMap<number, LogFile>
  readonly #segmentBytes: number
  bytes: Buffer = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  view: DataView = viewOf(this.bytes)
  /** The window holds the log's bytes [#from, #from + #heldBytes). */
  #from = 0
  #heldBytes = 0
  #descriptor = -1
  #openOffset = -1

  constructor(files: readonly LogFile[], segmentBytes: number) {
    this.#files = new Map(files.map((file) => [file.offset, file]))
    this.#segmentBytes = segmentBytes
  }

  /** Whether a file holds the byte at `position`. */
  has(position: number): boolean {
    return this.#files.has(this.#fileStart(position))
  }

  /** Bytes from `position` to the end of its file. */
  leftInFile(position: number): number {
    return this.#segmentBytes - (position % this.#segmentBytes)
  }

  /**
   * Holds `wantBytes` from `position` on, or all up to the file's end; returns how many it holds.
   */
  load(position: number, wantBytes: number): number {
    const wanted = Math.min(wantBytes, this.leftInFile(position))
    const held = this.#from + this.#heldBytes - position
    if (position >= this.#from && held >= wanted) return held
    if (wanted > this.bytes.length) {
      this.bytes = Buffer.allocUnsafeSlow(wanted)
      this.view = viewOf(this.bytes)
    }
    this.#from = position
    this.#heldBytes = this.#read(position, Math.min(this.bytes.length, this.leftInFile(position)))
    assert(this.#heldBytes >= wanted, 'a file has the length that it was found with')
    return this.#heldBytes
  }

  /** Where a position that was loaded lies in `bytes`. */
  at(position: number): number {
    return position - this.#from
  }

  close(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor)
    this.#descriptor = -1
    this.#openOffset = -1
    this.#heldBytes = 0
  }

  #fileStart(position: number): number {
    return position - (position % this.#segmentBytes)
  }

  #read(position: number, sizeBytes: number): number {
    const start = this.#fileStart(position)
    if (start !== this.#openOffset) {
      this.close()
      const file = this.#files.get(start)
      assert(file !== undefined, 'only files that are there are read')
      this.#from = position
      this.#descriptor = openSync(file.path, 'r')
      this.#openOffset = start
    }
    const what = `read at offset ${position}`
    return readFully(this.#descriptor, this.bytes, 0, sizeBytes, position - start, what)
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
