/**
 * Where everything lies in the shared regions. Owns the invariant "one writer per cache line".
 *
 * A ring is one region: a control page, then the data, which starts on a page of its own.
 *
 *   byte 0      128         256        384        512              4096                     4096 +
 * capacity
 *   ├───────────┼───────────┼──────────┼──────────┼────── … ───────┼────────────────────────┤
 *   │ header    │ published │ consumed │ starved  │ unused         │ frames                 │
 *   │ magic,    │ Int32     │ Int32    │ Int32    │                │ capacity: power of two │
 *   │ capacity  │ producer  │ consumer │ both     │                │                        │
 *   └───────────┴───────────┴──────────┴──────────┴────────────────┴────────────────────────┘
 *
 * A frame starts on a multiple of 8: Int32 payload bytes, Int32 type, payload, zero to seven unused
 * bytes. A pad frame (type PAD_TYPE) fills the end of a lap when the next frame would not fit there
 * in one piece:
 *
 *   ├ len type payload ┼ len type payload ┼ … ┼ len PAD ─ unused ─┤ (next frame at offset 0)
 *
 * A doorbell is one page whose first word says awake or parked.
 *
 * An arena is two regions. Control page, one word a line:
 *
 *   byte 0        128        256       384       512         640 …                1152
 *   ├─────────────┼──────────┼─────────┼─────────┼───────────┼────────┬────┬───────┤
 *   │ appended    │ committed│ oldest  │ durable │ dispatched│ lapEnd │ ×4 │       │
 *   │ BigInt64    │ core     │ core    │ io      │ broker    │ core   │    │       │
 *   └─────────────┴──────────┴─────────┴─────────┴───────────┴────────┴────┴───────┘
 *
 * Data: `sizeBytes`, then a slack into which the entry that crosses the lap's end runs on:
 *
 *   0                                             sizeBytes        sizeBytes + slack
 *   ├ next lap's first entry ── … ── entry ── entry ┼─ end of entry ─┤
 *            ▲ at its position % sizeBytes, so the bytes before it stay unused in that lap
 */

/** Two 64-byte lines: the adjacent-line prefetcher of x86 pulls them in pairs. */
export const LINE_BYTES = 128
export const PAGE_BYTES = 4096

export const RING_MAGIC = 0x52_4c_52_31
export const RING_MAGIC_WORD = 0
export const RING_CAPACITY_WORD = 1
export const RING_PUBLISHED_WORD: number = LINE_BYTES / 4
export const RING_CONSUMED_WORD: number = (2 * LINE_BYTES) / 4
export const RING_STARVED_WORD: number = (3 * LINE_BYTES) / 4
export const RING_DATA_OFFSET: number = PAGE_BYTES
export const MIN_RING_BYTES = 64
export const MAX_RING_BYTES: number = 2 ** 30

export const FRAME_HEADER_BYTES = 8
export const FRAME_ALIGN_BYTES = 8
/** Type of the frame that fills the end of a lap; callers use types from 0 up. */
export const PAD_TYPE = -1

export const DOORBELL_STATE_WORD = 0

/** Indices into the BigInt64Array over an arena's control page. */
const LINE_LONGS = LINE_BYTES / 8
export const ARENA_APPENDED = 0
export const ARENA_COMMITTED: number = LINE_LONGS
export const ARENA_OLDEST: number = 2 * LINE_LONGS
export const ARENA_DURABLE: number = 3 * LINE_LONGS
export const ARENA_DISPATCHED: number = 4 * LINE_LONGS
export const ARENA_LAP_END: number = 5 * LINE_LONGS
export const ARENA_LAP_END_STRIDE: number = LINE_LONGS
/**
 * A range spans at most two lap ends; four slots keep a late reader from meeting a slot that is
 * being reused.
 */
export const ARENA_LAP_END_SLOTS = 4
/** A blank may be this much longer than the longest entry. */
export const ARENA_BLANK_EXTRA_BYTES = 8

/** Rounds up to a multiple of `step`, a power of two; both below 2^31. */
export function alignUp(value: number, step: number): number {
  return (value + step - 1) & -step
}
