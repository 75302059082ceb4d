/** How full the disks of the store are; what cannot be told is -1, as in RocketMQ. */
import { type DiskUsage, diskUsage } from '@ringledger/io'

export function diskUsageOf(directory: string): DiskUsage {
  try {
    return diskUsage(directory)
  } catch {
    return { totalBytes: 0, freeBytes: 0, usedRatio: -1 }
  }
}

export function usedRatioOf(directory: string): number {
  return diskUsageOf(directory).usedRatio
}
