/** Serves a lagging peer from the log files, for the replicator. */
import type { CatchUpReader } from '@ringledger/consensus'
import type { LogFileReader } from '@ringledger/io'

export function catchUpReader(files: LogFileReader): CatchUpReader {
  return {
    range: (from, limit, maxBytes) => files.range(from, limit, maxBytes),
    readAsync: (from, to, target) => files.readEntriesAsync(from, to, target),
  }
}
