/** The shared memory of one log: what every thread that touches it is given. */
import { allocateIoPort, type IoPort } from '@ringledger/io'
import { Doorbell, LogArena, type LogArenaShared } from 'sharedarraybuffer-ringbuffer'
import type { LedgerSettings } from './settings.ts'

export interface LedgerShared {
  readonly arena: LogArenaShared
  readonly ioPort: IoPort
  /** Bell of the core thread. */
  readonly coreBell: SharedArrayBuffer
}

/** An arena holds at least this many of the longest entries. */
const MIN_ENTRIES = 4

export function allocateLedgerShared(settings: LedgerSettings): LedgerShared {
  const { maxEntryBytes } = settings
  let sizeBytes = settings.arenaBytes
  while (sizeBytes < MIN_ENTRIES * (maxEntryBytes + 4096)) sizeBytes *= 2
  return {
    arena: LogArena.allocate({ sizeBytes, maxEntryBytes }),
    ioPort: allocateIoPort(maxEntryBytes),
    coreBell: Doorbell.allocate(),
  }
}
