/**
 * The version of a broker's topic table: equal only when all three parts are equal. `stateVersion`
 * is the Raft term under RingLedger and DLedger brokers, 0 with plain master and slave.
 */
import { LedgerError } from '@ringledger/base'
import type { DataVersion } from '@ringledger/protocol'

/** Whether the broker's table is the one already known. */
export function sameDataVersion(left: DataVersion, right: DataVersion): boolean {
  return (
    left.counter === right.counter &&
    left.stateVersion === right.stateVersion &&
    left.timestamp === right.timestamp
  )
}

/**
 * Reads a DataVersion object; absent parts count as 0 (4.x brokers send no stateVersion).
 * @throws LedgerError BAD_REQUEST when it is not an object of whole numbers.
 */
export function readDataVersion(value: unknown): DataVersion {
  if (typeof value !== 'object' || value === null) {
    throw new LedgerError('BAD_REQUEST', 'dataVersion is missing')
  }
  const version = value as Record<string, unknown>
  return {
    counter: readPart(version.counter),
    stateVersion: readPart(version.stateVersion),
    timestamp: readPart(version.timestamp),
  }
}

function readPart(value: unknown): number {
  if (value === undefined || value === null) return 0
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number)) {
    throw new LedgerError('BAD_REQUEST', 'dataVersion must hold whole numbers')
  }
  return number
}
