/**
 * What the consensus thread shows its importer without being asked: ends of the log, role, peers.
 * One writer, any readers; a reader never waits for the writer and never sees half of a change:
 * each change goes whole into the next of {@link SLOTS} records, and a record that was overwritten
 * while it was read is read anew.
 */
import { allocateRegion } from 'sharedarraybuffer-ringbuffer'

const SLOTS = 8
const FIXED_WORDS = 16
const PEER_WORDS = 4

const SEQUENCE_FLAG = 0
const STORE_CHANGES_FLAG = 1
const WANTS_COMMITS_FLAG = 2
const NOTES_TAKEN_FLAG = 3
const FLAGS = 4

export const StateWord = {
  committedIndex: 0,
  committedPosition: 1,
  endIndex: 2,
  endPosition: 3,
  firstIndex: 4,
  firstPosition: 5,
  role: 6,
  term: 7,
  /** Number among the members, -1: unknown. */
  leader: 8,
  serving: 9,
  diskFull: 10,
  damagedEntries: 11,
  healing: 12,
  /** The log is begun anew at another place: files may be gone that `firstIndex` speaks of. */
  resetting: 13,
} as const
export type StateWord = (typeof StateWord)[keyof typeof StateWord]

export const PeerWord = { connected: 0, state: 1, matchPosition: 2, silentMs: 3 } as const
export type PeerWord = (typeof PeerWord)[keyof typeof PeerWord]

export interface LedgerStateShared {
  readonly records: SharedArrayBuffer
  readonly flags: SharedArrayBuffer
  readonly peerCount: number
}

export function allocateLedgerState(peerCount: number): LedgerStateShared {
  const words = FIXED_WORDS + PEER_WORDS * peerCount
  return {
    records: allocateRegion(SLOTS * words * 8),
    flags: allocateRegion(FLAGS * 4),
    peerCount,
  }
}

function peerWord(peer: number, word: PeerWord): number {
  return FIXED_WORDS + PEER_WORDS * peer + word
}

/** The consensus thread's side. */
export class LedgerStateWriter {
  readonly #records: BigInt64Array
  readonly #flags: Int32Array
  readonly #values: Float64Array
  #sequence = 0
  #changed = true

  constructor(shared: LedgerStateShared) {
    this.#records = new BigInt64Array(shared.records)
    this.#flags = new Int32Array(shared.flags)
    this.#values = new Float64Array(FIXED_WORDS + PEER_WORDS * shared.peerCount)
  }

  set(word: StateWord, value: number): void {
    this.#put(word, value)
  }

  setPeer(peer: number, word: PeerWord, value: number): void {
    this.#put(peerWord(peer, word), value)
  }

  /** Shows what was set since; once per turn, before the importer is woken. */
  publish(): void {
    if (!this.#changed) return
    this.#changed = false
    const values = this.#values
    this.#sequence = (this.#sequence + 1) & 0x3fffffff
    const base = (this.#sequence % SLOTS) * values.length
    for (let word = 0; word < values.length; word++) {
      Atomics.store(this.#records, base + word, BigInt(values[word] as number))
    }
    Atomics.store(this.#flags, SEQUENCE_FLAG, this.#sequence)
  }

  /** Whether somebody waits for commits; asked after `publish`. */
  get wantsCommits(): boolean {
    return Atomics.load(this.#flags, WANTS_COMMITS_FLAG) !== 0
  }

  /** Notes that the importer has taken, modulo 2^32. */
  get notesTaken(): number {
    return Atomics.load(this.#flags, NOTES_TAKEN_FLAG)
  }

  /** The log's files were cut or deleted. */
  storeChanged(): void {
    Atomics.add(this.#flags, STORE_CHANGES_FLAG, 1)
  }

  #put(word: number, value: number): void {
    if (this.#values[word] === value) return
    this.#values[word] = value
    this.#changed = true
  }
}

/** The importer's side. */
export class LedgerStateReader {
  readonly #records: BigInt64Array
  readonly #flags: Int32Array
  readonly #values: Float64Array
  #sequence = 0

  constructor(shared: LedgerStateShared) {
    this.#records = new BigInt64Array(shared.records)
    this.#flags = new Int32Array(shared.flags)
    this.#values = new Float64Array(FIXED_WORDS + PEER_WORDS * shared.peerCount)
  }

  /** Takes the newest record; the getters answer from it. True if it is another one. */
  refresh(): boolean {
    const before = this.#sequence
    const values = this.#values
    for (;;) {
      const sequence = Atomics.load(this.#flags, SEQUENCE_FLAG)
      if (sequence === this.#sequence) return sequence !== before
      const base = (sequence % SLOTS) * values.length
      for (let word = 0; word < values.length; word++) {
        values[word] = Number(Atomics.load(this.#records, base + word))
      }
      const passed = (Atomics.load(this.#flags, SEQUENCE_FLAG) - sequence) & 0x3fffffff
      if (passed < SLOTS - 1) {
        this.#sequence = sequence
        return true
      }
    }
  }

  get(word: StateWord): number {
    return this.#values[word] as number
  }

  peer(peer: number, word: PeerWord): number {
    return this.#values[peerWord(peer, word)] as number
  }

  /** Counts cuts and deletions of files: what was known of the files before is void. */
  get storeChanges(): number {
    return Atomics.load(this.#flags, STORE_CHANGES_FLAG)
  }

  /** From now on the consensus thread rings for commits, or no more; look again after saying so. */
  wantCommits(wanted: boolean): void {
    Atomics.store(this.#flags, WANTS_COMMITS_FLAG, wanted ? 1 : 0)
  }

  noteTaken(): void {
    Atomics.add(this.#flags, NOTES_TAKEN_FLAG, 1)
  }
}
