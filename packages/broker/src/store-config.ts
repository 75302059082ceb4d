/** Where this node's log lies, from its settings. */
import type { StoreConfig } from '@ringledger/io'
import type { NodeSettings } from './node-settings.ts'

export function storeConfigOf(settings: NodeSettings): StoreConfig {
  return {
    rootDirectory: settings.storePathRootDir,
    selfId: settings.dLegerSelfId,
    dataDirectory: settings.storePathDLedgerCommitLog,
    segmentBytes: settings.mappedFileSizeCommitLog,
  }
}
