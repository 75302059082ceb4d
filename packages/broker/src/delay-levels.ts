/**
 * Delay levels: their delays, and the mark that a re-put message carries so that progress and
 * message are one log entry (rocketmq-remoting.md §5.7). The mark lies in the message's
 * prepared-transaction offset, which is 0 in every other message without a transaction, cannot be
 * set by a client and is not looked at by consumers.
 */
import { LedgerError } from '@ringledger/base'

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
/**
 * Queue offsets below this and level numbers up to 511 fit one mark exactly (2^44 · 2^9 = 2^53).
 */
const LEVEL_STEP = 2 ** 44
const MAX_LEVELS = 511

/**
 * Delay of each level in ms, level 1 first. Throws BAD_CONFIG for a text that is not
 * `<number><s|m|h|d> …`.
 */
export function parseDelayLevels(text: string): number[] {
  const parts = text.trim().split(/\s+/)
  if (parts.length > MAX_LEVELS) {
    throw new LedgerError('BAD_CONFIG', `messageDelayLevel has more than ${MAX_LEVELS} levels`)
  }
  return parts.map((part) => {
    const unitMs = UNIT_MS[part.slice(-1)]
    const count = part.slice(0, -1)
    if (unitMs === undefined || !/^\d{1,9}$/.test(count)) {
      throw new LedgerError('BAD_CONFIG', `messageDelayLevel: "${part}" is not a delay such as 10s`)
    }
    return Number(count) * unitMs
  })
}

/** The mark of the message at `queueOffset` of level `level` (from 1). Never 0. */
export function delayMark(level: number, queueOffset: number): number {
  return level * LEVEL_STEP + queueOffset
}

/** Level of a mark, 0 when the number is none. */
export function levelOfMark(mark: number): number {
  return mark >= LEVEL_STEP && Number.isSafeInteger(mark) ? Math.floor(mark / LEVEL_STEP) : 0
}

export function queueOffsetOfMark(mark: number): number {
  return mark % LEVEL_STEP
}
