/**
 * Term and vote. Owns the invariant that an answered `save` survives power loss, a torn write and
 * one rotten slot. Our file is the truth; Apache's `currterm` follows it lazily, and is believed
 * where it is ahead (Apache ran in between).
 */
import { assert } from '@ringledger/base'
import { getInt64, setInt64 } from '@ringledger/protocol'
import type { StoreLayout } from './config.ts'
import type { Disk } from './disk.ts'
import { readPropertyFile, wholeNumber, writePropertyFile } from './property-file.ts'
import { refuseLost, SlotFile, SlotFileState } from './slot-file.ts'

/** What a Raft node must never forget. */
export interface HardState {
  readonly term: number
  /** Id of the member that got this node's vote in `term`; null for none. */
  readonly votedFor: string | null
}

const HARD_STATE_MAGIC = 0x52_4c_48_53
const TERM_AT = 0
const VOTE_BYTES_AT = 8
const VOTE_AT = 10
const NO_VOTE = 0xffff
export const MAX_VOTE_BYTES = 256

export class HardStateFile {
  readonly #disk: Disk
  readonly #layout: StoreLayout
  readonly #slots: SlotFile
  #current: HardState = { term: 0, votedFor: null }
  #textBehind = false

  constructor(disk: Disk, layout: StoreLayout) {
    this.#disk = disk
    this.#layout = layout
    this.#slots = new SlotFile(disk, layout.hardStatePath, HARD_STATE_MAGIC)
  }

  get current(): HardState {
    return this.#current
  }

  /**
   * Reads the state, importing Apache's where ours is absent or behind; durable on return. Returns
   * lines for the report.
   * @throws LedgerError CORRUPT when both slots are unreadable
   */
  open(): string[] {
    const { state, payload } = this.#slots.read()
    if (state === SlotFileState.LOST) throw refuseLost(this.#layout.hardStatePath, 'term and vote')
    if (state === SlotFileState.VALID) this.#current = decode(payload)
    const damaged = state === SlotFileState.VALID ? this.#slots.damagedCopies() : 0
    const text = readCurrentTerm(this.#disk, this.#layout.currentTermPath)
    const imported = text !== undefined && isAhead(text, this.#current)
    if (text === undefined || imported || !equal(text, this.#current)) this.#textBehind = true
    if (imported) this.#current = text
    // Written anew even if unchanged: a killed process may have left it in the page cache only.
    if (state === SlotFileState.VALID) this.#slots.writeBoth(encode(this.#current))
    else this.#slots.create(encode(this.#current), this.#layout.directory)
    const report: string[] = []
    if (damaged > 0) {
      report.push(`a copy of term and vote in ${this.#layout.hardStatePath} was written anew`)
    }
    if (!imported) return report
    const vote = this.#current.votedFor ?? 'nobody'
    return [
      ...report,
      `took term ${this.#current.term} and the vote for ${vote} from Apache's currterm`,
    ]
  }

  /** Durable on return. Terms never fall, and a vote within a term never changes. */
  save(state: HardState): void {
    assert(state.term >= this.#current.term, 'a term never falls')
    assert(
      state.term > this.#current.term ||
        this.#current.votedFor === null ||
        this.#current.votedFor === state.votedFor,
      'a vote is cast once a term',
    )
    this.#slots.writeBoth(encode(state))
    this.#current = state
    this.#textBehind = true
  }

  /** Writes both copies anew if one is damaged; true if so. */
  mend(): boolean {
    if (this.#slots.damagedCopies() === 0) return false
    this.#slots.writeBoth(encode(this.#current))
    return true
  }

  get textBehind(): boolean {
    return this.#textBehind
  }

  /** Brings Apache's `currterm` up to date. */
  writeText(): void {
    writePropertyFile(this.#disk, this.#layout.currentTermPath, [
      ['voteLeader', this.#current.votedFor ?? ''],
      ['currTerm', String(this.#current.term)],
    ])
    this.#textBehind = false
  }

  close(): void {
    this.#slots.close()
  }
}

function readCurrentTerm(disk: Disk, path: string): HardState | undefined {
  const values = readPropertyFile(disk, path)
  const term = wholeNumber(values?.get('currTerm'))
  if (values === undefined || term === undefined) return undefined
  const vote = values.get('voteLeader') ?? ''
  if (vote === '' || Buffer.byteLength(vote) > MAX_VOTE_BYTES) return { term, votedFor: null }
  return { term, votedFor: vote }
}

function isAhead(text: HardState, own: HardState): boolean {
  if (text.term !== own.term) return text.term > own.term
  return text.votedFor !== null && own.votedFor === null
}

function equal(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.votedFor === b.votedFor
}

function encode(state: HardState): Buffer {
  const vote = state.votedFor === null ? Buffer.alloc(0) : Buffer.from(state.votedFor, 'utf8')
  assert(vote.length <= MAX_VOTE_BYTES, 'the id of a member is short')
  assert(Number.isSafeInteger(state.term) && state.term >= 0, 'a term is a whole number')
  const payload = Buffer.alloc(VOTE_AT + vote.length)
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
  setInt64(view, TERM_AT, state.term)
  view.setUint16(VOTE_BYTES_AT, state.votedFor === null ? NO_VOTE : vote.length)
  vote.copy(payload, VOTE_AT)
  return payload
}

function decode(payload: Buffer): HardState {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
  assert(payload.length >= VOTE_AT, 'a checked record of term and vote is complete')
  const voteBytes = view.getUint16(VOTE_BYTES_AT)
  const votedFor = voteBytes === NO_VOTE ? null : payload.toString('utf8', VOTE_AT)
  return { term: getInt64(view, TERM_AT), votedFor }
}
