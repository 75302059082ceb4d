/**
 * Writes the files of a plain commit log, as Apache lays them out (rocketmq-store.md §1): each
 * named by its first position and of full length from its first byte on, which its broker insists
 * on. A new one grows in a directory beside them, which Apache skips, and comes in by a rename.
 * Owns the invariant that a file is synced before the next one is begun.
 */
import { join } from 'node:path'
import { type Disk, type DiskFile, OpenMode } from '@ringledger/io'
import { fileNameOfOffset } from '@ringledger/protocol'

const BEGUN = 'ringledger-begun'

export class PlainFiles {
  readonly #disk: Disk
  readonly #directories: readonly string[]
  readonly #fileBytes: number
  #current: { readonly position: number; readonly file: DiskFile } | undefined

  /** `directories`: storePathCommitLog, several joined by commas as Apache has it. */
  constructor(disk: Disk, directories: string, fileBytes: number) {
    this.#disk = disk
    this.#directories = directories.split(',')
    this.#fileBytes = fileBytes
    for (const directory of this.#directories) this.#clearBegun(directory)
  }

  /** @throws DiskError; after DISK_FULL the same bytes may be written again */
  write(position: number, bytes: Buffer, offset: number, sizeBytes: number): void {
    for (let done = 0; done < sizeBytes; ) {
      const at = position + done
      const inFile = at % this.#fileBytes
      const count = Math.min(sizeBytes - done, this.#fileBytes - inFile)
      this.#fileAt(at - inFile).writeAt(bytes, offset + done, count, inFile)
      done += count
    }
  }

  /** What was written is on the disk when it returns. @throws DiskError */
  sync(): void {
    this.#current?.file.sync()
  }

  close(): void {
    this.#current?.file.close()
    this.#current = undefined
  }

  #fileAt(position: number): DiskFile {
    if (this.#current?.position === position) return this.#current.file
    this.sync()
    this.close()
    const file = this.#open(position)
    this.#current = { position, file }
    return file
  }

  #open(position: number): DiskFile {
    const name = fileNameOfOffset(position)
    const known = this.#directories
      .map((directory) => join(directory, name))
      .find((path) => this.#disk.exists(path))
    return known === undefined
      ? this.#create(name, position)
      : this.#disk.open(known, OpenMode.WRITE)
  }

  /** Apache spreads its files over several directories in the same way. */
  #create(name: string, position: number): DiskFile {
    const disk = this.#disk
    const number = Math.floor(position / this.#fileBytes) % this.#directories.length
    const directory = this.#directories[number] as string
    const begun = join(directory, BEGUN)
    const draft = join(begun, name)
    disk.makeDirectory(begun)
    if (disk.exists(draft)) disk.remove(draft)
    const file = disk.open(draft, OpenMode.CREATE)
    try {
      file.setLength(this.#fileBytes)
      file.syncMetadata()
    } finally {
      file.close()
    }
    const path = join(directory, name)
    disk.rename(draft, path)
    disk.syncDirectory(directory)
    return disk.open(path, OpenMode.WRITE)
  }

  /** What a killed run left half made. */
  #clearBegun(directory: string): void {
    const begun = join(directory, BEGUN)
    for (const name of this.#disk.list(begun)) this.#disk.remove(join(begun, name))
  }
}
