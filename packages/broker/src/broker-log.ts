/**
 * The log as the broker thread reads it and has it deleted: a Raft log, with or without a plain
 * part below it, or a plain one.
 */
import { damageReporter, LogFileReader } from '@ringledger/io'
import type { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { CorePort } from './core-port-api.ts'
import { ledgerSettingsOf } from './ledger-settings.ts'
import { LogFileSegments, type LogSegments, PlainLogSegments } from './log-segments.ts'
import { PlainFilesReader } from './plain/plain-files-reader.ts'
import { isPlain } from './settings.ts'
import { JoinedLog } from './store/joined-log.ts'
import type { LogFiles } from './store/message-reader.ts'
import { PlainLog } from './store/plain-log.ts'
import type { BrokerWorkerData } from './wiring.ts'

export interface BrokerLogFiles {
  readonly files: LogFiles
  readonly firstPosition: number
  readonly segments: LogSegments
  /** On whose disk new segments are made. */
  readonly directory: string
}

export function openBrokerLog(
  data: BrokerWorkerData,
  arena: LogArena,
  port: Pick<CorePort, 'trim'>,
): BrokerLogFiles {
  const { settings, shared, oldLog, logFirstPosition } = data
  if (isPlain(settings)) return openPlainLog(data, arena)
  const raftFiles = new LogFileReader(
    ledgerSettingsOf(settings).store,
    undefined,
    damageReporter(shared.ioPort),
  )
  const plain =
    oldLog.files.length === 0 ? undefined : new PlainLog(oldLog.files, oldLog.dividedPosition)
  const directory = settings.storePathDLedgerCommitLog
  const segmentBytes = settings.mappedFileSizeCommitLog
  return {
    files: plain === undefined ? raftFiles : new JoinedLog(plain, raftFiles),
    firstPosition: plain?.firstPosition ?? logFirstPosition,
    segments: new LogFileSegments({ directory, segmentBytes, plain, port }),
    directory,
  }
}

function openPlainLog(data: BrokerWorkerData, arena: LogArena): BrokerLogFiles {
  const { settings, logFirstPosition, logEndPosition } = data
  const directories = settings.storePathCommitLog
  // The core thread, which is started later, has not set the arena up yet.
  const endPosition = (): number => Math.max(logEndPosition, arena.committed)
  const plain = PlainLog.growing({ directories, endPosition })
  return {
    files: new PlainFilesReader(plain),
    firstPosition: logFirstPosition,
    segments: new PlainLogSegments(plain),
    directory: directories.split(',')[0] as string,
  }
}
