/** API skeleton, being filled in (store helper). State records: what goes through the log beside messages. */
import type { GroupConfig, TopicConfig } from './configs.ts'

export type StateRecord =
  | { kind: 'barrier'; term: number; nodeId: string }
  | { kind: 'topic'; config: TopicConfig }
  | { kind: 'deleteTopic'; topic: string }
  | { kind: 'group'; config: GroupConfig }
  | { kind: 'deleteGroup'; group: string; cleanOffset: boolean }
  /** [topic, group, queueId, offset]; at most MAX_OFFSETS_PER_RECORD */
  | { kind: 'offsets'; entries: [topic: string, group: string, queueId: number, offset: number][] }
  /** Next queue offset of SCHEDULE_TOPIC_XXXX per delay level (1..18) */
  | { kind: 'delay'; entries: [level: number, offset: number][] }
  /** Server-side reset: the new committed offsets; brokers answer the next pull with OFFSET_RESET. */
  | {
      kind: 'resetOffset'
      topic: string
      group: string
      entries: [queueId: number, offset: number][]
    }

export const MAX_OFFSETS_PER_RECORD = 4096

/** `storeHost`: 8 bytes, IPv4 + int32 port. Physical offset and store time are patched at append. */
export declare function encodeStateMessage(
  record: StateRecord,
  storeHost: Buffer,
  nowMs: number,
): Buffer
/** Throws LedgerError CORRUPT. */
export declare function decodeStateRecord(text: string): StateRecord
