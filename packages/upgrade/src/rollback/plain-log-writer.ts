/**
 * Writes a plain commit log. Owns its layout: files of one length, a blank at the end of each, and
 * at least 8 bytes behind every message; and the order of a save: every file is durable before the
 * place is told.
 */
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  futimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
} from 'node:fs'
import { join } from 'node:path'
import { assert } from '@ringledger/base'
import { onDisk, onSync, syncDirectory, writeFully } from '@ringledger/base/internal'
import {
  fileNameOfOffset,
  offsetOfFileName,
  PLAIN_LOG_BLANK_BYTES,
  writePlainLogBlank,
} from '@ringledger/protocol'

const BUFFER_BYTES = 8 * 1024 * 1024

export class PlainLogWriter {
  readonly #directory: string
  readonly #segmentBytes: number
  /** Where claimed messages are laid down; a longer one may bring another buffer. */
  bytes: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  view: DataView = viewOf(this.bytes)
  /** `bytes[0, #used)` belongs at #flushed, which lies in the open file. */
  #used = 0
  #flushed: number
  #descriptor = -1
  #fileStart = -1
  #lastStoreTimeMs = 0

  /** Takes up a log that ends at `endOffset`; what is behind it is dropped. */
  constructor(directory: string, segmentBytes: number, endOffset: number) {
    this.#directory = directory
    this.#segmentBytes = segmentBytes
    this.#flushed = endOffset
    mkdirSync(directory, { recursive: true })
    for (const name of readdirSync(directory)) {
      const start = offsetOfFileName(name)
      if (start === undefined || start >= endOffset) rmSync(join(directory, name))
    }
    if (endOffset % segmentBytes !== 0) this.#open(endOffset)
  }

  /** Behind the last message. */
  get endOffset(): number {
    return this.#flushed + this.#used
  }

  /**
   * Makes room for a message at the end, or at `atOffset` behind it; returns where it comes to
   * stand in the log. `place` gives where that is in `bytes`.
   */
  claim(sizeBytes: number, atOffset: number = this.#roomFor(sizeBytes)): number {
    assert(atOffset >= this.endOffset, 'a log is written forwards')
    const start = atOffset - (atOffset % this.#segmentBytes)
    if (start !== this.#fileStart) this.#roll(start, atOffset)
    else assert(atOffset === this.endOffset, 'within a file messages stand side by side')
    if (this.#used + sizeBytes > this.bytes.length) this.#makeRoom(sizeBytes)
    this.#used += sizeBytes
    return atOffset
  }

  /** Where a claimed offset lies in `bytes`. */
  place(offset: number): number {
    return offset - this.#flushed
  }

  noteTime(storeTimeMs: number): void {
    this.#lastStoreTimeMs = storeTimeMs
  }

  /** Everything is durable on return. */
  save(): void {
    this.#flush()
    this.#sync()
    syncDirectory(this.#directory)
  }

  /** `save`, and gives the last file the time of its last message: retention goes by it. */
  finish(): void {
    this.save()
    this.close()
  }

  close(): void {
    if (this.#descriptor < 0) return
    const seconds = this.#lastStoreTimeMs / 1000
    if (seconds > 0) futimesSync(this.#descriptor, seconds, seconds)
    closeSync(this.#descriptor)
    this.#descriptor = -1
    this.#fileStart = -1
  }

  #roomFor(sizeBytes: number): number {
    const end = this.endOffset
    const left = this.#segmentBytes - (end % this.#segmentBytes)
    return sizeBytes + PLAIN_LOG_BLANK_BYTES > left ? end + left : end
  }

  /** Ends the open file with a blank and goes on in the one that begins at `start`. */
  #roll(start: number, offset: number): void {
    if (this.#descriptor >= 0) {
      const left = this.#fileStart + this.#segmentBytes - this.endOffset
      assert(left >= PLAIN_LOG_BLANK_BYTES, 'a file has room for its blank')
      if (this.#used + PLAIN_LOG_BLANK_BYTES > this.bytes.length) this.#flush()
      writePlainLogBlank(this.bytes, this.#used, left)
      this.#used += PLAIN_LOG_BLANK_BYTES
      this.#flush()
      this.#sync()
      this.close()
    }
    this.#open(start)
    this.#flushed = offset
  }

  #open(offset: number): void {
    const start = offset - (offset % this.#segmentBytes)
    const path = join(this.#directory, fileNameOfOffset(start))
    onDisk(`opening ${path}`, () => {
      this.#descriptor = openSync(path, offset > start ? 'r+' : 'w+')
      this.#fileStart = start
      ftruncateSync(this.#descriptor, offset - start)
      ftruncateSync(this.#descriptor, this.#segmentBytes)
    })
  }

  #makeRoom(sizeBytes: number): void {
    this.#flush()
    if (sizeBytes <= this.bytes.length) return
    this.bytes = Buffer.allocUnsafeSlow(sizeBytes)
    this.view = viewOf(this.bytes)
  }

  #flush(): void {
    const at = this.#flushed - this.#fileStart
    writeFully(this.#descriptor, this.bytes, 0, this.#used, at, this.#what('write'))
    this.#flushed += this.#used
    this.#used = 0
  }

  #sync(): void {
    if (this.#descriptor >= 0) onSync(this.#what('sync'), () => fsyncSync(this.#descriptor))
  }

  #what(call: string): string {
    return `${call} of the file from ${this.#fileStart} on in ${this.#directory}`
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
