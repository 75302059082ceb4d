/**
 * The faulty disk, with the time that reads take beside the event loop. Owns the invariant that
 * whoever reads that way meets the files as they are when the disk has turned, not when it asked.
 */

import { seededRandom } from '@ringledger/base'
import { type DiskFile, FakeDisk, OpenMode } from '@ringledger/io'
import type { SimSettings } from './settings.ts'

export class SimDisk extends FakeDisk {
  readonly #turned: () => Promise<void>
  readonly #onRead: () => void

  /** `turned` resolves when the disk has turned; `onRead` is told of reads that may go on later. */
  constructor(
    settings: SimSettings,
    number: number,
    turned: () => Promise<void>,
    onRead: () => void,
  ) {
    super(seededRandom(Math.imul(settings.seed, 131) + number))
    this.directBlockBytes = settings.directBlockBytes
    this.#turned = turned
    this.#onRead = onRead
  }

  override open(path: string, mode: OpenMode): DiskFile {
    const file = super.open(path, mode)
    if (mode !== OpenMode.READ && mode !== OpenMode.READ_BLOCKS) return file
    return new SlowFile(file, this.#turned, this.#onRead)
  }
}

class SlowFile implements DiskFile {
  readonly path: string
  readonly #file: DiskFile
  readonly #turned: () => Promise<void>
  readonly #onRead: () => void

  constructor(file: DiskFile, turned: () => Promise<void>, onRead: () => void) {
    this.path = file.path
    this.#file = file
    this.#turned = turned
    this.#onRead = onRead
  }

  readAt(target: Uint8Array, offset: number, sizeBytes: number, position: number): number {
    this.#onRead()
    return this.#file.readAt(target, offset, sizeBytes, position)
  }

  async readAtAsync(
    target: Uint8Array,
    offset: number,
    sizeBytes: number,
    position: number,
  ): Promise<number> {
    await this.#turned()
    return this.#file.readAt(target, offset, sizeBytes, position)
  }

  writeAt(bytes: Uint8Array, offset: number, sizeBytes: number, position: number): void {
    this.#file.writeAt(bytes, offset, sizeBytes, position)
  }

  sync(): void {
    this.#file.sync()
  }

  syncMetadata(): void {
    this.#file.syncMetadata()
  }

  setLength(sizeBytes: number): void {
    this.#file.setLength(sizeBytes)
  }

  sizeBytes(): number {
    return this.#file.sizeBytes()
  }

  close(): void {
    this.#file.close()
  }
}
