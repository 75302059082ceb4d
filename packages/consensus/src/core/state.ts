/**
 * The variables of one Raft machine and the transitions that every role shares.
 * Invariants: `firstPosition <= commitPosition <= endPosition`; `durablePosition <= endPosition`;
 * `term` never goes back; a vote or an acknowledgement leaves only when the hard state it rests on
 * is saved.
 */
import { assert, randomBetween } from '@ringledger/base'
import type { CheckedConfig, NodeId } from './config.ts'
import { type Effects, noEffects } from './effects.ts'
import { LogView } from './log-view.ts'
import type { HardState, Healing, LogTail, PeerMessage } from './messages.ts'
import { Progress } from './progress.ts'
import { ReadQueue } from './read-queue.ts'
import { Role } from './status.ts'

/** A leadership transfer under way. */
export interface Transfer {
  readonly target: NodeId
  elapsedTicks: number
  /** The target was told to campaign. */
  told: boolean
}

/** Failed campaigns that are tried again quickly before the pauses grow. */
const QUICK_RETRIES = 4

/** Does `message` say all that `earlier` said, to the same peer? Keeps the waiting room small. */
function supersedes(message: PeerMessage, earlier: PeerMessage): boolean {
  if (message.to !== earlier.to || message.type !== earlier.type) return false
  if (message.type !== 'appendReply' || earlier.type !== 'appendReply') return true
  return message.accepted === earlier.accepted
}

export class RaftState {
  readonly config: CheckedConfig
  readonly log: LogView
  readonly peers: readonly Progress[]
  effects: Effects = noEffects()

  term: number
  votedFor: NodeId | null
  role: Role = Role.follower
  leaderId: NodeId | null = null
  commitPosition: number
  durablePosition: number
  /** Follower: up to here the log equals the log of the leader of `term`. */
  verifiedEnd: number
  /** Follower: where a truncation under way cuts; -1 without one. No entry is taken meanwhile. */
  truncatePosition = -1
  /** Set while this node lacks what it once acknowledged: see healing.ts. */
  healing: Healing | null

  /** Ticks since the machine began. */
  now = 0
  /** Ticks since the timer of follower, pre-candidate or candidate was set. */
  elapsedTicks = 0
  timeoutTicks = 0
  /** The tick of the leader's last word. */
  leaderHeardTick = 0
  /** The greatest round heard from the leader of `term`. */
  leaderRound = -1
  /** Follower: its last acknowledgement to that leader; round -1: none, or a refusal came after. */
  readonly told = { round: -1, durablePosition: 0, verifiedEnd: 0, diskFull: false }
  /** No space for more of the log here; see disk-full.ts. */
  diskFull = false
  /** Election timeouts that were left to others since a leader was last heard. */
  yieldedTimeouts = 0
  /** Leader: ticks since it last looked for a follower with space. */
  fullElapsed = 0
  /** Campaigns since a leader was last heard. */
  attempts = 0
  reason = 'started'

  /** Id of the last hard state given out, and of the last one known to be synced. */
  persistId = 0
  savedId = 0
  /** Messages that rest on a hard state not yet saved: at most one per peer and kind. */
  waiting: PeerMessage[] = []

  /** Pre-candidate and candidate: the answers so far, own vote included. */
  readonly votes: Map<NodeId, boolean> = new Map()
  /** Pre-candidate: its lot in case of contention. */
  priority = 0
  /** Candidate: the hard state that holds its own vote. */
  campaignPersistId = 0

  /** Leader: end of the log when it won; entries of its own term lie beyond. */
  termStartPosition = -1
  heartbeatElapsed = 0
  round = 0
  transfer: Transfer | null = null
  readonly reads: ReadQueue
  preferredElapsed = 0
  preferredPauseTicks: number
  /** One slot per member, for majority arithmetic. */
  readonly scratch: Float64Array

  constructor(config: CheckedConfig, hardState: HardState, tail: LogTail) {
    this.config = config
    this.log = new LogView(tail)
    this.peers = config.peerIds.map((id) => new Progress(id))
    this.scratch = new Float64Array(config.peerIds.length + 1)
    this.reads = new ReadQueue(config.maxPendingReads)
    this.preferredPauseTicks = config.preferredCheckTicks
    // A log can be newer than the saved term when only the log's sync beat the crash.
    this.term = Math.max(hardState.term, tail.lastTerm)
    this.votedFor = this.term === hardState.term ? hardState.votedFor : null
    if (this.term > hardState.term) this.persist()
    const known = Math.min(tail.commitPosition ?? 0, tail.endPosition)
    this.commitPosition = Math.max(tail.firstPosition, known)
    this.verifiedEnd = this.commitPosition
    this.durablePosition = tail.endPosition
    this.healing = tail.healing ?? null
    this.timeoutTicks = this.peers.length === 0 ? 1 : this.retryTicks()
  }

  peer(id: NodeId): Progress | undefined {
    for (const progress of this.peers) if (progress.id === id) return progress
    return undefined
  }

  get memberCount(): number {
    return this.peers.length + 1
  }

  /** A message that may leave at once. */
  send(message: PeerMessage): void {
    this.effects.send.push(message)
  }

  /** A message that speaks for the current hard state: leaves once that is synced. */
  sendWhenSaved(message: PeerMessage): void {
    if (this.savedId === this.persistId) {
      this.send(message)
      return
    }
    const stale = this.waiting.findIndex((earlier) => supersedes(message, earlier))
    if (stale >= 0) this.waiting.splice(stale, 1)
    this.waiting.push(message)
  }

  /** Asks for the current term and vote to be synced. */
  persist(): void {
    this.persistId++
    this.effects.persist = { id: this.persistId, term: this.term, votedFor: this.votedFor }
  }

  /** Starts the wait for a leader's word. */
  setElectionTimer(): void {
    const { electionTicksMin, electionTicksMax, random } = this.config
    this.elapsedTicks = 0
    this.timeoutTicks = randomBetween(random, electionTicksMin, electionTicksMax + 1)
  }

  /** Starts the wait before the next campaign of a node that knows no leader. */
  setRetryTimer(): void {
    this.elapsedTicks = 0
    this.timeoutTicks = this.retryTicks()
  }

  retryTicks(): number {
    const { retryTicksMin, retryTicksMax, electionTicksMax, random } = this.config
    const scale = 2 ** Math.min(10, Math.max(0, this.attempts - QUICK_RETRIES))
    const high = Math.min(retryTicksMax * scale, electionTicksMax)
    const low = Math.min(retryTicksMin * scale, high - 1)
    return randomBetween(random, low, high + 1)
  }

  /** True while a leader other than `asker` counts as alive, so that no election is helped. */
  leaderAlive(asker: NodeId): boolean {
    if (this.role === Role.leader) return true
    if (this.leaderId === null || this.leaderId === asker) return false
    return this.now - this.leaderHeardTick < this.config.electionTicksMin
  }

  setRole(role: Role, leaderId: NodeId | null, reason: string): void {
    this.role = role
    this.leaderId = leaderId
    this.reason = reason
    this.effects.roleChange = { role, term: this.term, leaderId, reason }
  }

  /** Enters `term` if it is newer, and follows `leaderId` (null: nobody yet). Sets no timer. */
  becomeFollower(term: number, leaderId: NodeId | null, reason: string): void {
    assert(term >= this.term, 'a term never goes back')
    if (this.role === Role.leader) this.#leaveLeadership(reason)
    if (term > this.term) this.enterTerm(term, null)
    this.votes.clear()
    this.setRole(Role.follower, leaderId, reason)
  }

  enterTerm(term: number, votedFor: NodeId | null): void {
    this.term = term
    this.votedFor = votedFor
    // Only what is committed is known to be in the log of a leader not heard yet.
    this.verifiedEnd = this.commitPosition
    this.leaderRound = -1
    this.told.round = -1
    this.waiting = []
    this.persist()
  }

  #leaveLeadership(reason: string): void {
    this.termStartPosition = -1
    this.verifiedEnd = this.commitPosition
    this.reads.refuseAll(this.effects.reads)
    delete this.effects.becameLeader
    this.effects.replicate = false
    if (this.transfer !== null) this.endTransfer(true, reason)
  }

  endTransfer(done: boolean, reason: string): void {
    assert(this.transfer !== null, 'no transfer to end')
    this.effects.transferEnded = { target: this.transfer.target, done, reason }
    this.transfer = null
  }

  /** Raises the commit position; asserts that it stays inside the log. */
  commitTo(position: number): void {
    assert(position >= this.commitPosition, 'the commit position never goes back')
    assert(position <= this.log.endPosition, 'committed past the end of the log')
    if (position === this.commitPosition) return
    this.commitPosition = position
    this.effects.commitPosition = position
  }

  /** Leaves the group for good. */
  halt(reason: string): void {
    if (this.role === Role.leader) this.#leaveLeadership(reason)
    this.waiting = []
    this.setRole(Role.halted, null, reason)
    delete this.effects.persist
    delete this.effects.accept
    this.effects.halted = reason
  }
}
