/**
 * How full a file system is, counted as RocketMQ counts it: in whole percents, rounded up, of what
 * ordinary processes may use.
 */
import { statfsSync } from 'node:fs'

export interface DiskUsage {
  readonly totalBytes: number
  /** What an ordinary process may still take. */
  readonly freeBytes: number
  /** 0 to 1; -1 when it cannot be told. */
  readonly usedRatio: number
}

/** Throws what the system says, for a directory that is not there. */
export function diskUsage(directory: string): DiskUsage {
  const { bsize, blocks, bavail, bfree } = statfsSync(directory)
  const used = blocks - bfree
  const usedRatio = used + bavail > 0 ? Math.ceil((used * 100) / (used + bavail)) / 100 : -1
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize, usedRatio }
}
