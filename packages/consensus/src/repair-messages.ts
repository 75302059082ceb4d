/**
 * How a node asks the others for an entry that its own disk lost. Not part of Raft: any member may
 * answer, whoever leads, because the one who asks can prove what it gets.
 */
interface RepairFields {
  readonly from: string
  readonly to: string
  /** No term is meant; it is there since every message between peers has one. */
  readonly term: number
  readonly position: number
  readonly endPosition: number
}

/** "Send me the entry in [position, endPosition)." */
export interface RepairAsk extends RepairFields {
  readonly type: 'repairAsk'
}

/** The entry's bytes travel beside it, or none when it is not there, or damaged too. */
export interface RepairAnswer extends RepairFields {
  readonly type: 'repairAnswer'
}

export type RepairMessage = RepairAsk | RepairAnswer

export function isRepairMessage(value: unknown): value is RepairMessage {
  if (typeof value !== 'object' || value === null) return false
  const { type, from, to, position, endPosition } = value as Partial<RepairMessage>
  if (type !== 'repairAsk' && type !== 'repairAnswer') return false
  if (typeof from !== 'string' || typeof to !== 'string') return false
  return (
    Number.isSafeInteger(position) &&
    Number.isSafeInteger(endPosition) &&
    (position as number) >= 0 &&
    (endPosition as number) > (position as number)
  )
}
