/** How the IO thread of a plain log is started, and what it says: plain data only. */
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { NodeDisk } from '@ringledger/io'
import type { LogArenaShared } from 'sharedarraybuffer-ringbuffer'
import type { NodeSettings } from '../node-settings.ts'
import { plainLogFiles } from '../store/plain-log.ts'
import type { PlainIoConfig } from './plain-io-agent.ts'
import type { PlainIoShared } from './plain-io-shared.ts'
import type { PlainRecovered } from './plain-recovery.ts'

export interface PlainIoWorkerData {
  /** storePathRootDir */
  readonly root: string
  readonly config: PlainIoConfig
  readonly arena: LogArenaShared
  readonly io: PlainIoShared
  readonly coreBell: SharedArrayBuffer
}

/** IO thread to main thread. */
export type PlainIoNote =
  | { kind: 'recovered'; recovered: PlainRecovered }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; line: string }

export function plainIoConfigOf(settings: NodeSettings): PlainIoConfig {
  return {
    directories: settings.storePathCommitLog,
    fileBytes: settings.mappedFileSizeCommitLog,
    syncBeforeAck: settings.flushDiskType === 'SYNC_FLUSH',
    minimumFreeBytes: settings.minimumFreeDiskBytes,
    fullAboveRatio: settings.diskSpaceWarningLevelRatio / 100,
    fullUntilRatio: settings.diskSpaceCleanForciblyRatio / 100,
  }
}

/**
 * A Raft log holds messages that a plain broker would not see. @throws LedgerError BAD_CONFIG
 * naming it
 */
export function refuseRaftLog(settings: NodeSettings): void {
  const { storePathRootDir: root, storePathDLedgerCommitLog } = settings
  const groups = new NodeDisk().list(root).filter((name) => name.startsWith('dledger-'))
  const directories = [storePathDLedgerCommitLog, ...groups.map((name) => join(root, name, 'data'))]
  const raft = directories.find((directory) => plainLogFiles(directory).length > 0)
  if (raft === undefined) return
  throw new LedgerError(
    'BAD_CONFIG',
    `enableDLegerCommitLog=false, but ${raft} holds a Raft log: its messages would not be served. ` +
      'Set it to true, or make a plain store of it first (mqadmin upgrade rollback); nothing was ' +
      'changed',
  )
}
