/**
 * Frames on the rings between the broker thread and the threads that own the log and the clients'
 * sockets: the core thread, or the core thread and network workers. All numbers little endian.
 *
 * A request, an answer or an append may be longer than one ring frame: it travels as consecutive
 * *parts* behind the same 16-byte head. Parts of one item are never mixed with other frames of the
 * same ring.
 *
 * ```
 * part head   0 int32 id (connection id; for an append: queue slot or -1)
 *             4 int32 total bytes of the item
 *             8 float64 sequence (appends) or 0
 *            16 the part's bytes
 * ```
 */
export const CoreFrame = {
  /** A client's frame, from its length field on. */
  REQUEST: 1,
  CONNECTED: 2,
  CLOSED: 3,
  /** float64: sequence, physical offset, queue offset, store time stamp, end position. */
  APPENDED: 4,
  /** float64 sequence, int32 index into `APPEND_ERRORS`. */
  APPEND_FAILED: 5,
  /** int32 role, int32 0, float64 term, float64 barrier end, UTF-8 leader id. */
  ROLE: 6,
  /** int32 1: leadership moved, 0: it did not; UTF-8 reason. */
  TRANSFER_ENDED: 7,
} as const

export const BrokerFrame = {
  /** A complete remoting frame for one connection. */
  ANSWER: 1,
  /** Encoded RocketMQ messages back to back; they get consecutive sequences from the head's on. */
  APPEND: 2,
  /** UTF-8 JSON of a `PublishedTopic`. */
  TOPIC: 3,
  /** UTF-8 topic name. */
  REMOVE_TOPIC: 4,
  /** int32 count, int32 0, then count × (float64 slot, float64 next queue offset). */
  QUEUE_OFFSETS: 5,
  /** float64 term: sends may start. */
  SERVING: 6,
  /** int32 connection id. */
  CLOSE: 7,
  /** int32 broker id of the follower that is to lead, -1 for any. */
  TRANSFER: 8,
  /** UTF-8 `host:port` of the leader that gets what is sent here; empty: nobody. */
  RELAY: 9,
  /** float64 position: whole segments below it are to be deleted. */
  TRIM: 10,
} as const

export const PART_HEAD_BYTES: number = 16
/** Bytes of an item in one part; small enough that a ring never refuses it for fragmentation. */
export const PART_BYTES: number = 128 * 1024
/** A ring to or from the broker thread; the largest request must fit into it as a whole. */
export const PORT_RING_BYTES: number = 8 * 1024 * 1024
/** From the broker thread to a network worker. Long answers come through it part by part. */
export const ANSWER_RING_BYTES: number = 4 * 1024 * 1024
/** A client frame longer than this is refused with MESSAGE_ILLEGAL where its socket is. */
export const MAX_REQUEST_BYTES: number = 6 * 1024 * 1024

export const APPEND_ERRORS = [
  'NOT_LEADER',
  'NOT_SERVING',
  'LEADERSHIP_LOST',
  'BUSY',
  'TOO_LARGE',
  'DISK_FULL',
  'DISK_FAILED',
  'CLOSED',
] as const
export type AppendError = (typeof APPEND_ERRORS)[number]

export const ROLES = ['follower', 'candidate', 'leader'] as const
