/**
 * Where a store lies and how its files are cut. Paths, names and sizes are Apache DLedger's (its
 * MultiPath option is not); the `ringledger-*` files are ours and stand beside them. Plain data: it
 * travels in `workerData`.
 */
import { join } from 'node:path'
import { assert, LedgerError } from '@ringledger/base'
import { INDEX_UNIT_BYTES } from '@ringledger/protocol'

export interface StoreConfig {
  /** `storePathRootDir`: the node's directory is `<rootDirectory>/dledger-<selfId>`. */
  readonly rootDirectory: string
  /** `dLegerSelfId`, for instance `n0`. */
  readonly selfId: string
  /**
   * `storePathDLedgerCommitLog`: data segments elsewhere. Default: `data` in the node's directory.
   */
  readonly dataDirectory?: string
  /** `mappedFileSizeCommitLog`; must be the same on all nodes of a group. Default 1 GiB. */
  readonly segmentBytes?: number
  /** Apache's value is fixed; smaller only in tests. Default 160 MiB. */
  readonly indexSegmentBytes?: number
  /**
   * Where a log begins that has no file yet, a multiple of `segmentBytes`: the end of the plain
   * commit log before it. Default 0.
   */
  readonly beginsAt?: number
  /**
   * Space to leave on the disk: below it new writes are refused, what was accepted still fits.
   * Default 256 MiB.
   */
  readonly minimumFreeBytes?: number
  /**
   * Above this part of the disk in use new writes are refused too, until it is at or below
   * `fullUntilRatio`. Of the data's file system or the root directory's, whichever is fuller.
   * Default 1: never.
   */
  readonly fullAboveRatio?: number
  /** Default: `fullAboveRatio`. */
  readonly fullUntilRatio?: number
  /** Zero-filled space kept in front of the log's end. Default {@link ZERO_AHEAD_BYTES}. */
  readonly zeroAheadBytes?: number
  /**
   * After this much of the log the resume mark moves; recovery after a crash scans about that much.
   * Default 64 MiB.
   */
  readonly markEveryBytes?: number
  /**
   * How fast the files are looked through for damage; 0: only on demand. Default 1.5 MiB/s,
   * 130 GB a day, for 0.1 % of a core (0.55 ms a MiB with entries of 1 KiB). Higher: a pass ends
   * sooner and takes more of the disk from the log.
   */
  readonly scrubBytesPerSecond?: number
  /**
   * Groups are written past the page cache (O_DIRECT, O_DSYNC) where the file system can. Default
   * true.
   */
  readonly directWrites?: boolean
  /** From the beginning of one pass to that of the next. Default a day. */
  readonly scrubIntervalMs?: number
}

/** {@link StoreConfig} with defaults filled in and checked, and the paths that follow from it. */
export interface StoreLayout {
  readonly directory: string
  readonly dataDirectory: string
  readonly indexDirectory: string
  readonly segmentBytes: number
  readonly beginsAt: number
  readonly indexSegmentBytes: number
  readonly minimumFreeBytes: number
  readonly fullAboveRatio: number
  readonly fullUntilRatio: number
  readonly zeroAheadBytes: number
  readonly markEveryBytes: number
  readonly scrubBytesPerSecond: number
  readonly scrubIntervalMs: number
  readonly directWrites: boolean
  readonly lockPath: string
  readonly hardStatePath: string
  readonly markPath: string
  readonly lostPath: string
  readonly currentTermPath: string
  readonly checkpointPath: string
}

export const DEFAULT_SEGMENT_BYTES: number = 1024 ** 3
export const DEFAULT_INDEX_SEGMENT_BYTES: number = INDEX_UNIT_BYTES * 5 * 1024 * 1024
export const DEFAULT_MINIMUM_FREE_BYTES: number = 256 * 1024 ** 2
export const DEFAULT_MARK_EVERY_BYTES: number = 64 * 1024 ** 2
export const DEFAULT_SCRUB_BYTES_PER_SECOND: number = 1.5 * 1024 ** 2
export const DEFAULT_SCRUB_INTERVAL_MS: number = 24 * 3600 * 1000
export const ZERO_AHEAD_BYTES: number = 8 * 1024 ** 2

/** Smallest data segment: a header, a blank's header and a little body. */
const MIN_SEGMENT_BYTES = 1024

/** @throws LedgerError BAD_CONFIG */
export function storeLayout(config: StoreConfig): StoreLayout {
  const directory = join(config.rootDirectory, `dledger-${config.selfId}`)
  const segmentBytes = config.segmentBytes ?? DEFAULT_SEGMENT_BYTES
  const indexSegmentBytes = config.indexSegmentBytes ?? DEFAULT_INDEX_SEGMENT_BYTES
  if (!/^[^/\\\0-]+$/.test(config.selfId)) {
    throw new LedgerError('BAD_CONFIG', `dLegerSelfId "${config.selfId}" is no name of a node`)
  }
  if (!Number.isInteger(segmentBytes) || segmentBytes < MIN_SEGMENT_BYTES) {
    throw new LedgerError(
      'BAD_CONFIG',
      `mappedFileSizeCommitLog ${segmentBytes} is below ${MIN_SEGMENT_BYTES} or no whole number`,
    )
  }
  const beginsAt = config.beginsAt ?? 0
  assert(beginsAt >= 0 && beginsAt % segmentBytes === 0, 'a log begins with a segment')
  if (indexSegmentBytes <= 0 || indexSegmentBytes % INDEX_UNIT_BYTES !== 0) {
    throw new LedgerError(
      'BAD_CONFIG',
      `an index segment of ${indexSegmentBytes} bytes holds no whole number of units`,
    )
  }
  return {
    directory,
    dataDirectory: config.dataDirectory ?? join(directory, 'data'),
    indexDirectory: join(directory, 'index'),
    segmentBytes,
    beginsAt,
    indexSegmentBytes,
    minimumFreeBytes: config.minimumFreeBytes ?? DEFAULT_MINIMUM_FREE_BYTES,
    fullAboveRatio: config.fullAboveRatio ?? 1,
    fullUntilRatio: config.fullUntilRatio ?? config.fullAboveRatio ?? 1,
    zeroAheadBytes: config.zeroAheadBytes ?? ZERO_AHEAD_BYTES,
    markEveryBytes: config.markEveryBytes ?? DEFAULT_MARK_EVERY_BYTES,
    scrubBytesPerSecond: config.scrubBytesPerSecond ?? DEFAULT_SCRUB_BYTES_PER_SECOND,
    scrubIntervalMs: config.scrubIntervalMs ?? DEFAULT_SCRUB_INTERVAL_MS,
    directWrites: config.directWrites ?? true,
    lockPath: join(directory, 'ringledger-lock'),
    hardStatePath: join(directory, 'ringledger-hardstate'),
    markPath: join(directory, 'ringledger-durable'),
    lostPath: join(directory, 'ringledger-lost'),
    currentTermPath: join(directory, 'currterm'),
    checkpointPath: join(directory, 'checkpoint'),
  }
}
