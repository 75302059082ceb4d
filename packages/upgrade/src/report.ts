/**
 * What a check of a store found: plain data that travels between machines as JSON. Owns the shape
 * and its version; everything else only reads or fills it.
 */

/** Raised with every change that an older comparison would misread. */
export const REPORT_VERSION = 1

/** A stored message, as far as a person needs to find it again. */
export interface MessageNote {
  /** Its physical offset, hence its place in the log. */
  readonly offset: number
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  readonly storeTimeMs: number
}

/** A digest of everything in the file below `offset`, or of one message that begins there. */
export interface Mark {
  /** Offset in the log, not in the file. */
  readonly offset: number
  /** xxhash64, 16 hexadecimal digits. */
  readonly digest: string
  /** Where the message begins that holds the byte before `offset`. */
  readonly messageAt?: number
}

/** Bytes in the middle of the log that are no message. */
export interface DamageNote {
  readonly offset: number
  /** What the check of the bytes said. */
  readonly reason: string
  /** Where whole messages go on; absent when none follows in this file. */
  readonly resumesAt?: number
}

export interface FileReport {
  readonly name: string
  /** Offset of its first byte. */
  readonly offset: number
  readonly sizeBytes: number
  /** Where its data ends: a blank, zeros, or bytes that are no message. */
  readonly endOffset: number
  /** Why the data ends there. */
  readonly end: 'blank' | 'unused' | 'leftover' | 'damaged'
  /** Digest of the data, from the file's first byte up to `endOffset`. */
  readonly digest: string
  /** Digests on the way, ascending: at every `MARK_EVERY_BYTES`, and where the check was asked. */
  readonly marks: readonly Mark[]
  readonly messages: number
  readonly damage: readonly DamageNote[]
  /**
   * Of the last file with data: a digest of each message by itself, from the last mark but one on,
   * so that a copy that ends a little earlier can be compared message by message.
   */
  readonly tail?: readonly Mark[]
}

/** A queue as the log has it, whatever its consume queue says. */
export interface QueueReport {
  readonly topic: string
  readonly queueId: number
  readonly firstQueueOffset: number
  readonly lastQueueOffset: number
  readonly messages: number
  /** Queue offsets that do not follow their predecessor. */
  readonly breaks: number
}

/** What the messages make use of; counts. */
export interface Features {
  /** Topics beyond 127 bytes: a broker older than 5.0 cuts the log off at the first. */
  readonly messageV2: number
  readonly ipv6Hosts: number
  readonly compressed: number
  readonly halfMessages: number
  readonly innerBatches: number
  readonly timerMessages: number
  readonly delayedMessages: number
}

/** A table under `config/`, reduced to what copies of a group must share. */
export interface ConfigFile {
  readonly name: string
  /**
   * `backup`: its `.bak` was read in its place; `unreadable`: neither of the two is JSON;
   * `absent`: there is neither.
   */
  readonly state: 'present' | 'absent' | 'backup' | 'unreadable'
  /** Sorted `key=value` lines of its table. */
  readonly entries: readonly string[]
}

export interface StoreReport {
  readonly version: typeof REPORT_VERSION
  /** Where the store was looked at, `host:/path`. */
  readonly store: string
  readonly checkedAt: string
  /** Bytes of a commit log file; 0 when there is none. */
  readonly segmentBytes: number
  readonly files: readonly FileReport[]
  /** First byte and end of data of the plain commit log. */
  readonly firstOffset: number
  readonly endOffset: number
  readonly messages: number
  readonly lastMessage?: MessageNote
  readonly queues: readonly QueueReport[]
  readonly features: Features
  /** The broker did not stop in order. */
  readonly abort: boolean
  readonly checkpoint?: { readonly physicTimeMs: number; readonly logicTimeMs: number }
  readonly config: readonly ConfigFile[]
  /** Consume queues on disk: highest unit of each, as `topic/queue=count`. */
  readonly consumeQueues: readonly string[]
  /** `dledger-<id>` directories: this store has been in a Raft group before. */
  readonly raftDirectories: readonly string[]
  /** Things in the commit log's directory that no broker put there. */
  readonly foreignFiles: readonly string[]
  /** What is wrong with this copy by itself, in words. */
  readonly problems: readonly Problem[]
}

/** `code` is for programs and tests; `text` says what was found, `advice` what to do. */
export interface Problem {
  readonly code: ProblemCode
  readonly text: string
  readonly advice: string
  /** True: the store must not be started upon as it is. */
  readonly blocks: boolean
}

export type ProblemCode =
  | 'NO_STORE'
  | 'ABORT'
  | 'FOREIGN_FILE'
  | 'FILE_SIZE'
  | 'FILE_MISSING'
  | 'DAMAGE'
  | 'LOG_ENDS_EARLY'
  | 'QUEUE_BREAK'
  | 'CONFIG_UNREADABLE'
  | 'OFFSETS_AHEAD'
  | 'ALREADY_RAFT'
  | 'V2_MESSAGES'
  | 'BATCH_QUEUES'
