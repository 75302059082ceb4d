/**
 * The files by which Apache's broker judges a store at its start (rocketmq-store.md §2.5, §2.6):
 * `checkpoint` and `abort`. We write them so that a stopped store can be opened by it; for our own
 * recovery they only say how the last run ended.
 */
import { closeSync, existsSync, ftruncateSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onDisk, writeFully } from '@ringledger/base/internal'
import { setInt64 } from '@ringledger/protocol'

const CHECKPOINT_BYTES = 4096
const USED_BYTES = 24

export class ApacheMarks {
  /** False when the run before was killed, or crashed. */
  readonly lastExitWasClean: boolean
  readonly #abortPath: string
  readonly #descriptor: number
  readonly #bytes: Buffer = Buffer.alloc(USED_BYTES)
  readonly #view: DataView = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, USED_BYTES)

  constructor(rootDirectory: string) {
    this.#abortPath = join(rootDirectory, 'abort')
    const path = join(rootDirectory, 'checkpoint')
    this.lastExitWasClean = !existsSync(this.#abortPath)
    this.#descriptor = onDisk('checkpoint', () => {
      writeFileSync(this.#abortPath, String(process.pid))
      const descriptor = openSync(path, existsSync(path) ? 'r+' : 'w+')
      ftruncateSync(descriptor, CHECKPOINT_BYTES)
      return descriptor
    })
  }

  /**
   * Store timestamps of the newest message in the queues, and at the end of the newest index file.
   */
  write(queuesTimestampMs: number, indexTimestampMs: number): void {
    setInt64(this.#view, 0, queuesTimestampMs)
    setInt64(this.#view, 8, queuesTimestampMs)
    setInt64(this.#view, 16, indexTimestampMs)
    writeFully(this.#descriptor, this.#bytes, 0, USED_BYTES, 0, 'checkpoint')
  }

  /** `clean`: everything was written, so `abort` goes. */
  close(clean: boolean): void {
    closeSync(this.#descriptor)
    if (clean) onDisk('removal of abort', () => rmSync(this.#abortPath, { force: true }))
  }
}
