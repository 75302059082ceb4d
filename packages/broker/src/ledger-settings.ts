/** The log's settings, from the broker's. */
import type { LedgerSettings } from '@ringledger/engine'
import type { NodeSettings } from './node-settings.ts'

/** Room beside the body for a message's other fields, its properties and the entry header. */
const ENTRY_EXTRA_BYTES = 128 * 1024

export function ledgerSettingsOf(settings: NodeSettings): LedgerSettings {
  const preferredLeaderId = settings.preferredLeaderIds[0]
  return {
    group: settings.dLegerGroup,
    selfId: settings.dLegerSelfId,
    members: settings.peers,
    bindAddress: settings.bindAddress,
    ...(preferredLeaderId === undefined ? {} : { preferredLeaderId }),
    electionTimeoutMs: settings.electionTimeoutMs,
    heartbeatIntervalMs: settings.heartbeatIntervalMs,
    store: {
      rootDirectory: settings.storePathRootDir,
      selfId: settings.dLegerSelfId,
      dataDirectory: settings.storePathDLedgerCommitLog,
      segmentBytes: settings.mappedFileSizeCommitLog,
      fullAboveRatio: settings.diskSpaceWarningLevelRatio / 100,
      fullUntilRatio: settings.diskSpaceCleanForciblyRatio / 100,
      minimumFreeBytes: settings.minimumFreeDiskBytes,
      scrubBytesPerSecond: settings.scrubBytesPerSecond,
      directWrites: settings.directLogWrites,
    },
    segmentBytes: settings.mappedFileSizeCommitLog,
    syncBeforeAck: settings.flushDiskType === 'SYNC_FLUSH',
    arenaBytes: settings.logArenaSizeBytes,
    maxEntryBytes: settings.maxMessageSize + ENTRY_EXTRA_BYTES,
  }
}
