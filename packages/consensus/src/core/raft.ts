/**
 * The Raft machine: messages and ticks in, effects out. It knows no clock, disk or socket, so the
 * same code runs in the simulator. How to drive it: effects.ts.
 * Invariant: after any call the state satisfies the invariants of state.ts.
 */
import { assert, randomBetween, unreachable } from '@ringledger/base'
import {
  onElectionTimeout,
  onOwnVoteSaved,
  onPreVoteReply,
  onTimeoutNow,
  onVoteReply,
} from './candidate.ts'
import { checkConfig, type NodeId, type RaftConfig } from './config.ts'
import { onDiskFull, tickDiskFull } from './disk-full.ts'
import { type Effects, isEmpty, NOTHING, noEffects } from './effects.ts'
import { acknowledge, onAppend, onInstall, onTruncated } from './follower.ts'
import { onCutWhileHealing, onMended, tryLeaveHealing } from './healing.ts'
import {
  type AppendPlan,
  advanceCommit,
  broadcast,
  cancelPlan,
  flushCommit,
  hearsMajority,
  markLeftBehind,
  onAppended,
  onAppendReply,
  onReadIndex,
  planAppend,
  planHolds,
  sendPlanned,
} from './leader.ts'
import type { Append, HardState, LocalMessage, LogTail, Message, PeerMessage } from './messages.ts'
import { RaftState } from './state.ts'
import { type RaftStatus, Role } from './status.ts'
import {
  advanceTransfer,
  handOverAfterFailure,
  startTransfer,
  tickPreferred,
  tickTransfer,
} from './transfer.ts'
import { onPreVote, onVote } from './voter.ts'

/** Ticks a follower waits at most after its link to the leader closed. */
const EAGER_TICKS = 2

export class Raft {
  readonly #state: RaftState

  /** Throws LedgerError BAD_CONFIG; a tail that contradicts itself is an InvariantError. */
  constructor(config: RaftConfig, hardState: HardState, tail: LogTail) {
    this.#state = new RaftState(checkConfig(config), hardState, tail)
  }

  get role(): Role {
    return this.#state.role
  }
  get term(): number {
    return this.#state.term
  }
  get leaderId(): NodeId | null {
    return this.#state.leaderId
  }
  get commitPosition(): number {
    return this.#state.commitPosition
  }
  get endPosition(): number {
    return this.#state.log.endPosition
  }
  get lastIndex(): number {
    return this.#state.log.lastIndex
  }
  /** Leader: its own entries start here; it serves once `commitPosition` is beyond. Else -1. */
  get termStartPosition(): number {
    return this.#state.termStartPosition
  }
  /** May the driver lay client entries now? False on others and during a transfer. */
  get acceptsAppends(): boolean {
    return this.#state.role === Role.leader && this.#state.transfer === null
  }
  /** Leads, and its own first entry is committed: reads and answers are safe. */
  get serving(): boolean {
    const state = this.#state
    return state.role === Role.leader && state.commitPosition > state.termStartPosition
  }

  /** What was gathered since the last take; look, but do not keep. */
  get effects(): Effects {
    return this.#state.effects
  }

  takeEffects(): Effects {
    const taken = this.#state.effects
    if (isEmpty(taken)) return NOTHING
    this.#state.effects = noEffects()
    return taken
  }

  /** A tick of time passed. */
  tick(): void {
    const state = this.#state
    if (state.role === Role.halted) return
    state.now++
    if (state.role === Role.leader) {
      this.#tickLeader()
      return
    }
    state.elapsedTicks++
    if (state.elapsedTicks >= state.timeoutTicks) onElectionTimeout(state)
  }

  #tickLeader(): void {
    const state = this.#state
    if (!hearsMajority(state)) {
      const ticks = state.config.electionTicksMax
      state.becomeFollower(state.term, null, `no majority answered for ${ticks} ticks`)
      state.setElectionTimer()
      return
    }
    tickTransfer(state)
    tickPreferred(state)
    tickDiskFull(state)
    if (++state.heartbeatElapsed >= state.config.heartbeatTicks) broadcast(state)
  }

  /** A message arrived, from a peer or from the own driver. A message not for us is ignored. */
  step(message: Message): void {
    if (this.#state.role === Role.halted) return
    if ('from' in message) this.#stepPeer(message)
    else this.#stepLocal(message)
    tryLeaveHealing(this.#state)
  }

  #stepPeer(message: PeerMessage): void {
    const state = this.#state
    if (message.to !== state.config.selfId || state.peer(message.from) === undefined) return
    switch (message.type) {
      case 'append':
        onAppend(state, message)
        break
      case 'install':
        onInstall(state, message)
        break
      case 'appendReply':
        onAppendReply(state, message)
        break
      case 'preVote':
        onPreVote(state, message)
        break
      case 'preVoteReply':
        onPreVoteReply(state, message)
        break
      case 'vote':
        onVote(state, message)
        break
      case 'voteReply':
        onVoteReply(state, message)
        break
      case 'timeoutNow':
        onTimeoutNow(state, message)
        break
      default:
        unreachable(message)
    }
  }

  #stepLocal(message: LocalMessage): void {
    const state = this.#state
    switch (message.type) {
      case 'durable':
        this.#onDurable(message.position)
        break
      case 'hardStateSaved':
        this.#onHardStateSaved(message.id)
        break
      case 'truncated':
        onCutWhileHealing(state, state.truncatePosition)
        onTruncated(state)
        break
      case 'appended':
        onAppended(state, message.endPosition, message.lastIndex)
        break
      case 'peerConnected':
        this.#onConnected(message.id)
        break
      case 'peerDisconnected':
        this.#onDisconnected(message.id)
        break
      case 'transfer':
        startTransfer(state, message.target)
        break
      case 'readIndex':
        onReadIndex(state, message.id)
        break
      case 'trimmed':
        assert(message.firstPosition <= state.commitPosition, 'dropped uncommitted entries')
        state.log.trim(message.firstPosition, message.firstIndex)
        if (state.role === Role.leader) markLeftBehind(state)
        break
      case 'mended':
        onMended(state, message.soundPosition)
        break
      case 'diskFull':
        onDiskFull(state, message.full)
        break
      case 'storageFailed':
        handOverAfterFailure(state)
        state.halt(message.reason)
        break
      default:
        unreachable(message)
    }
  }

  #onDurable(position: number): void {
    const state = this.#state
    // Until the truncation is synced, reports may still speak of the bytes that it cuts off.
    const limit = state.truncatePosition >= 0 ? state.truncatePosition : state.log.endPosition
    if (state.truncatePosition < 0) assert(position <= limit, 'more is durable than was written')
    const reached = Math.min(position, limit)
    if (reached <= state.durablePosition) return
    state.durablePosition = reached
    if (state.role === Role.leader) {
      advanceCommit(state)
      advanceTransfer(state)
    } else if (state.role === Role.follower) acknowledge(state)
  }

  #onHardStateSaved(id: number): void {
    const state = this.#state
    assert(id <= state.persistId, 'a hard state was saved that nobody gave out')
    state.savedId = Math.max(state.savedId, id)
    if (state.savedId < state.persistId) return
    const released = state.waiting
    state.waiting = []
    for (const message of released) state.send(message)
    onOwnVoteSaved(state)
  }

  #onConnected(id: NodeId): void {
    const state = this.#state
    const progress = state.peer(id)
    if (progress === undefined) return
    progress.connected = true
    if (state.role !== Role.leader) return
    const known = progress.matchPosition > state.log.firstPosition
    progress.probeFrom(known ? progress.matchPosition : state.log.endPosition)
    broadcast(state)
  }

  #onDisconnected(id: NodeId): void {
    const state = this.#state
    const progress = state.peer(id)
    if (progress === undefined) return
    progress.connected = false
    progress.probeFrom(progress.nextPosition)
    if (state.transfer?.target === id) state.endTransfer(false, `${id} disconnected`)
    if (state.leaderId !== id) return
    state.setRole(Role.follower, null, `link to leader ${id} closed`)
    state.elapsedTicks = 0
    state.timeoutTicks = randomBetween(state.config.random, 0, EAGER_TICKS + 1)
    if (state.timeoutTicks === 0) onElectionTimeout(state)
  }

  /** The next range for a peer, or undefined. The plan must be sent or cancelled. */
  nextAppend(id: NodeId): AppendPlan | undefined {
    return planAppend(this.#state, id)
  }

  /** May the plan still be sent? Ask before costly work on it. */
  planHolds(plan: AppendPlan): boolean {
    return planHolds(this.#state, plan)
  }

  /**
   * The bytes [plan.prevPosition, endPosition) leave now: returns the message to put before them,
   * or undefined if the plan is void. `lastIndex` is the index of the entry that ends there.
   */
  sendAppend(plan: AppendPlan, endPosition: number, lastIndex: number): Append | undefined {
    return sendPlanned(this.#state, plan, endPosition, lastIndex)
  }

  /** The plan will not be sent (the read failed, the socket is full): it may be planned anew. */
  cancelAppend(plan: AppendPlan): void {
    cancelPlan(this.#state, plan)
  }

  /** Tells peers with nothing else to receive the commit position now; adds to `effects.send`. */
  flushCommit(): void {
    if (this.#state.role === Role.leader) flushCommit(this.#state)
  }

  status(): RaftStatus {
    const state = this.#state
    const { log } = state
    return {
      selfId: state.config.selfId,
      role: state.role,
      term: state.term,
      votedFor: state.votedFor,
      leaderId: state.leaderId,
      firstPosition: log.firstPosition,
      commitPosition: state.commitPosition,
      durablePosition: state.durablePosition,
      endPosition: log.endPosition,
      lastIndex: log.lastIndex,
      lastTerm: log.lastTerm,
      termStartPosition: state.termStartPosition,
      transferTarget: state.transfer?.target ?? null,
      diskFull: state.diskFull,
      lastElectionReason: state.reason,
      healing: state.healing,
      peers:
        state.role !== Role.leader
          ? []
          : state.peers.map((peer) => ({
              id: peer.id,
              connected: peer.connected,
              state: peer.state,
              matchPosition: peer.matchPosition,
              nextPosition: peer.nextPosition,
              diskFull: peer.diskFull,
              silentTicks: state.now - peer.heardTick,
            })),
    }
  }
}
