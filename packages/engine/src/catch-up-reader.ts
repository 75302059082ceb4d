/** Serves a lagging peer from the log files, for the replicator. */
import type { CatchUpReader } from '@ringledger/consensus'
import { BLOCKS_AROUND_BYTES, type LogFileReader } from '@ringledger/io'

export function catchUpReader(files: LogFileReader): CatchUpReader {
  return {
    range: (from, limit, maxBytes) => files.range(from, limit, maxBytes),
    aroundBytes: BLOCKS_AROUND_BYTES,
    readAsync: (from, to, target) => files.readEntriesPastCache(from, to, target),
  }
}
