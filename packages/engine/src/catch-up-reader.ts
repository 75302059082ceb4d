/** Serves a lagging peer from the log files, for the replicator. */
import type { CatchUpReader, EntryRange } from '@ringledger/consensus'
import type { LogFileReader } from '@ringledger/io'

export function catchUpReader(files: LogFileReader): CatchUpReader {
  return {
    range(from: number, limit: number, maxBytes: number): EntryRange {
      const endPosition = Math.min(limit, files.rangeEnd(from, maxBytes))
      return { endPosition, lastIndex: files.indexOfPosition(endPosition - 1) }
    },
    readAsync: (from, to, target) => files.readAsync(from, to, target),
  }
}
