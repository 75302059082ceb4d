/**
 * Checks raw log bytes that came from a peer, before anything of them is copied: every entry's
 * place, size, checksums and order. Invariant: what passes is a gapless run of whole entries (each
 * with the blank before it) from `fromPosition` to the end of the bytes.
 */
import {
  BLANK_HEADER_BYTES,
  checkEntry,
  ENTRY_HEADER_BYTES,
  entryBodyBytes,
  entryChainCrc,
  entryIndex,
  entryMagic,
  entryTerm,
  MAGIC_BLANK,
} from '@ringledger/protocol'

/** Terms of a run, as they follow one another. */
export interface RunSpan {
  term: number
  firstPosition: number
  firstIndex: number
}

export interface PayloadRun {
  ok: boolean
  /** Why not, when `ok` is false. */
  problem: string
  endPosition: number
  lastIndex: number
  lastTerm: number
  lastChainCrc: number
  spans: RunSpan[]
  /**
   * Where to cut the run for copying: behind what passes an arena lap, and before a piece grows too
   * long.
   */
  pieceEnds: number[]
}

export interface PayloadPlace {
  fromPosition: number
  /** Chain checksum of the entry before `fromPosition`; undefined when it is not known here. */
  previousChainCrc: number | undefined
  segmentBytes: number
  /** Size of one arena lap. */
  lapBytes: number
  /** Longest piece that is copied at once, and longest entry. */
  maxPieceBytes: number
}

/** The nodes of a group are configured differently. */
const TOO_LONG = 'an entry longer than this node takes (maxMessageSize must be equal on all nodes)'

export function checkPayload(
  bytes: Buffer,
  view: DataView,
  start: number,
  end: number,
  place: PayloadPlace,
): PayloadRun {
  const run: PayloadRun = {
    ok: true,
    problem: '',
    endPosition: place.fromPosition,
    lastIndex: -1,
    lastTerm: -1,
    lastChainCrc: 0,
    spans: [],
    pieceEnds: [],
  }
  const expected: { position: number; index?: number; previousChainCrc?: number } = { position: 0 }
  if (place.previousChainCrc !== undefined) expected.previousChainCrc = place.previousChainCrc
  const pieces = new PieceCutter(run.pieceEnds, place)
  let at = start
  let unitPosition = place.fromPosition
  while (at < end) {
    const position = place.fromPosition + (at - start)
    if (end - at >= 8 && entryMagic(view, at) === MAGIC_BLANK) {
      const blankBytes = view.getInt32(at + 4)
      const left = place.segmentBytes - (position % place.segmentBytes)
      if (blankBytes !== left || blankBytes > end - at) return refuse(run, 'blank of a wrong size')
      if (blankBytes > place.maxPieceBytes + BLANK_HEADER_BYTES) return refuse(run, TOO_LONG)
      pieces.add(position, position + blankBytes)
      at += blankBytes
      if (at === end) return refuse(run, 'a blank without an entry behind it')
      continue
    }
    expected.position = position
    const verdict = checkEntry(bytes, view, at, end - at, expected)
    // Entries that Apache wrote carry no checksums; they may only stand before the first entry of
    // ours.
    const unsealedSoFar = run.lastIndex < 0 ? !place.previousChainCrc : run.lastChainCrc === 0
    const legacyAllowed = verdict === 'legacy' && unsealedSoFar
    if (verdict !== 'ok' && !legacyAllowed) return refuse(run, verdict)
    const term = entryTerm(view, at)
    const index = entryIndex(view, at)
    if (term !== run.lastTerm) {
      if (term < run.lastTerm) return refuse(run, 'term falls')
      run.spans.push({ term, firstPosition: unitPosition, firstIndex: index })
    }
    const entryBytes = ENTRY_HEADER_BYTES + entryBodyBytes(view, at)
    if (entryBytes > place.maxPieceBytes) return refuse(run, TOO_LONG)
    run.lastTerm = term
    run.lastIndex = index
    run.lastChainCrc = entryChainCrc(view, at)
    run.endPosition = position + entryBytes
    pieces.add(position, run.endPosition)
    unitPosition = run.endPosition
    expected.index = index + 1
    expected.previousChainCrc = run.lastChainCrc
    at += entryBytes
  }
  pieces.finish()
  return run
}

/**
 * Cuts the run so that each piece is contiguous in the arena (see LogArena: only an entry may pass
 * a lap's end).
 */
class PieceCutter {
  readonly #ends: number[]
  readonly #lapBytes: number
  readonly #maxBytes: number
  #from: number
  #last: number
  #lapEnd: number

  constructor(ends: number[], place: PayloadPlace) {
    this.#ends = ends
    this.#lapBytes = place.lapBytes
    this.#maxBytes = place.maxPieceBytes
    this.#from = place.fromPosition
    this.#last = place.fromPosition
    this.#lapEnd = this.#lapEndAfter(place.fromPosition)
  }

  add(position: number, end: number): void {
    if (end - this.#from > this.#maxBytes && position > this.#from) this.#cut(position)
    this.#last = end
    if (end >= this.#lapEnd) this.#cut(end)
  }

  finish(): void {
    if (this.#last > this.#from) this.#cut(this.#last)
  }

  #cut(position: number): void {
    this.#ends.push(position)
    this.#from = position
    if (position >= this.#lapEnd) this.#lapEnd = this.#lapEndAfter(position)
  }

  #lapEndAfter(position: number): number {
    return (Math.floor(position / this.#lapBytes) + 1) * this.#lapBytes
  }
}

function refuse(run: PayloadRun, problem: string): PayloadRun {
  run.ok = false
  run.problem = `${problem} at position ${run.endPosition}`
  return run
}
