/** What a store and its disk must be like before anything is written, whatever is to be done. */
import { existsSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import type { UpgradeRefused } from './refused.ts'
import type { StoreFiles } from './store-files.ts'

type Refusal = new (message: string, advice: string) => UpgradeRefused

/** Throws a `Refused` when a broker runs on the store, or was killed there. */
export function refuseRunning(store: StoreFiles, Refused: Refusal): void {
  const { root, abort, raftDirectories } = store
  const lock = raftDirectories.map((name) => join(root, name, 'ringledger-lock')).find(existsSync)
  if (!abort && lock === undefined) return
  throw new Refused(
    `the file "${abort ? 'abort' : lock}" is there: the broker still runs, or was killed`,
    'stop the broker in order (mqshutdown broker); start it once more before if it was killed',
  )
}

/** @throws LedgerError DISK_FULL when the disk of `directory` has not so much left */
export function refuseSmallDisk(directory: string, neededBytes: number): void {
  const { bavail, bsize } = statfsSync(directory)
  if (bavail * bsize >= neededBytes) return
  throw new LedgerError(
    'DISK_FULL',
    `${directory} needs ${neededBytes} bytes more, its disk has ${bavail * bsize}`,
  )
}
