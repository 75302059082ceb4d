/**
 * Frames on the two rings between a network worker and the core thread. All numbers little endian.
 *
 * ```
 * SUBMIT    0 int32 token, -1: nobody waits     4 int32 queue id
 *           8 int32 where the topic's name starts, counted from the message's first byte
 *          12 int32 bytes of the topic's name
 *          16 the encoded message; queue offset, physical offset and store time are still 0
 * STORED    0 int32 token     4 int32 0     8 float64 physical offset    16 float64 queue offset
 * REFUSED   0 int32 token     4 int32 SendRefusal
 * ```
 *
 * A token comes back once, in STORED or REFUSED; until then it is not given out again. The core
 * thread looks the queue up by the topic's name: a worker may not know yet that a topic has moved.
 */
export const SubmitFrame = { SUBMIT: 1 } as const
export const CompletionFrame = { STORED: 1, REFUSED: 2 } as const

export const SUBMIT_HEAD_BYTES = 16
export const STORED_BYTES = 24
export const REFUSED_BYTES = 8
/** Four times the longest frame that goes through it. */
export const SUBMIT_RING_BYTES: number = 2 * 1024 * 1024
/** Holds a frame for each token of one worker, so the core thread never meets a full ring. */
export const COMPLETION_RING_BYTES: number = 1024 * 1024
export const MAX_TOKENS = 16_384

/** Bits of the word in which the core thread says how it takes sends. */
export const CoreState = { SERVING: 1, HOLDING: 2 } as const
