/**
 * A disk that loses power, for one process after the other: builds disk-layer.c, says which
 * environment puts a process on it, and cuts the power once the process was killed. A new boot
 * follows each cut, as after a real one.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '@ringledger/base'
import { ROOT, runCommand } from '../support/run-command.ts'
import { type Loss, losePower, type PowerLoss, prepareJournal } from './power-off.ts'

const SOURCES: readonly string[] = ['disk-layer.c', 'disk-journal.c', 'disk-names.c'].map((name) =>
  join(ROOT, 'test', 'power', name),
)

/** Compiles the layer into `directory`; the path of the library. */
export async function buildDiskLayer(directory: string): Promise<string> {
  const library = join(directory, 'disk-layer.so')
  const options = ['-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-pthread']
  const args = [...options, '-o', library, ...SOURCES]
  const { code, stderr } = await runCommand('gcc', args)
  if (code !== 0) throw new Error(`gcc: ${stderr}`)
  return library
}

export interface DiskOptions {
  readonly library: string
  /** Directory that loses power. */
  readonly root: string
  /** For the journal and the boot id; on the same file system. */
  readonly control: string
  /** A sync takes up to twice this long. */
  readonly syncMicros?: number
  /** fdatasync answers and makes nothing durable: what a test of the test needs. */
  readonly lies?: boolean
}

/** What a cut leaves, if chance is not to decide. */
export type Cut = Pick<PowerLoss, 'kept' | 'syncsCount'>

export class LossyDisk {
  readonly #options: DiskOptions
  readonly #bootIdPath: string

  constructor(options: DiskOptions) {
    this.#options = options
    this.#bootIdPath = join(options.control, 'boot-id')
    mkdirSync(options.control, { recursive: true })
    prepareJournal(options.control)
    this.#boot()
  }

  /** `dieAfter`: the process kills itself at its so many-th change of the disk. */
  environment(dieAfter = 0): NodeJS.ProcessEnv {
    const { library, root, control, syncMicros = 0, lies = false } = this.#options
    return {
      LD_PRELOAD: library,
      UV_USE_IO_URING: '0',
      RINGLEDGER_DISK_ROOT: root,
      RINGLEDGER_DISK_JOURNAL: control,
      RINGLEDGER_DISK_BOOT_ID: this.#bootIdPath,
      RINGLEDGER_DISK_SYNC_US: String(syncMicros),
      RINGLEDGER_DISK_DIE_AFTER: String(dieAfter),
      ...(lies ? { RINGLEDGER_DISK_LIES: 'fdatasync' } : {}),
    }
  }

  /** After the end of the process that used it. */
  cutPower(random: Random, how: Cut = {}): Loss {
    const { root, control } = this.#options
    const lost = losePower({ root, journal: control, random, ...how })
    this.#boot()
    return lost
  }

  #boot(): void {
    writeFileSync(this.#bootIdPath, `${randomUUID()}\n`)
  }
}
