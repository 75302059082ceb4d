/**
 * Segments, group commit, term and vote, recovery: everything that touches the disk of a node's
 * log.
 */
export {
  DEFAULT_INDEX_SEGMENT_BYTES,
  DEFAULT_SEGMENT_BYTES,
  type StoreConfig,
  type StoreLayout,
  storeLayout,
} from './config.ts'
export { type Disk, DiskError, type DiskFile, OpenMode, type StoreLock } from './disk.ts'
export { FakeDisk, type FakeFault, type FakeOperation } from './disk-fake.ts'
export { NodeDisk } from './disk-node.ts'
export { type DiskUsage, diskUsage } from './disk-usage.ts'
export type { HardState } from './hard-state.ts'
export { IoAgent, type IoAgentOptions } from './io-agent.ts'
export { IoClient, type IoEventHandlers, type Repaired, type Truncated } from './io-client.ts'
export { type IoWorkerData, type IoWorkerMessage, startIoWorker } from './io-launch.ts'
export { allocateIoPort, damageReporter, type IoPort } from './io-port.ts'
export { BLOCKS_AROUND_BYTES, LogFileReader, type LogRange } from './log-file-reader.ts'
export { LogStore } from './log-store.ts'
export {
  type Damage,
  type Hole,
  type LogTail,
  type LostLog,
  type Recovered,
  soundPositionOf,
  type TermSpan,
} from './recovered.ts'
export { openStore } from './recovery.ts'
export type { LogEnd } from './resume-mark.ts'
export { sequenceOfSlot } from './slot-file.ts'
export type { Finding } from './store-parts.ts'
