/**
 * A leader of three for benchmarks: the real Raft machine, replica and arena; its disk and its two
 * followers answer at once and well. Owns the rule that nothing is acknowledged that was not handed
 * to them.
 */
import assert from 'node:assert/strict'
import { seededRandom } from '@ringledger/base'
import {
  type Append,
  type AppendReply,
  NO_TERM,
  type PeerMessage,
  Raft,
  type RaftConfig,
  Replica,
  Role,
} from '@ringledger/consensus'
import { LogArena } from 'sharedarraybuffer-ringbuffer'

export const SELF = 'n0'
export const FOLLOWERS: readonly string[] = ['n1', 'n2']
const ARENA_BYTES = 64 << 20
const MAX_ENTRY_BYTES = 1 << 20
/** Beyond what a run can fill, so that every entry costs the same. */
const SEGMENT_BYTES = 2 ** 40
const BARRIER_BYTES = 128
const NO_BYTES = Buffer.alloc(0)

export function newRaft(): Raft {
  const config: RaftConfig = { selfId: SELF, peerIds: FOLLOWERS, random: seededRandom(7) }
  const hardState = { term: 0, votedFor: null }
  const tail = {
    firstPosition: 0,
    firstIndex: 0,
    endPosition: 0,
    lastIndex: -1,
    lastTerm: NO_TERM,
    spans: [],
  }
  return new Raft(config, hardState, tail)
}

/** What a willing follower answers; undefined when nothing is expected of it. */
export function answerOf(message: PeerMessage): PeerMessage | undefined {
  const { to: from, from: to, term } = message
  if (message.type === 'preVote') {
    const { nextTerm, askedTick } = message
    const granted = { granted: true, reason: 'none' } as const
    return { type: 'preVoteReply', from, to, term, nextTerm, askedTick, ...granted }
  }
  if (message.type === 'vote') {
    return { type: 'voteReply', from, to, term, granted: true, reason: 'none' }
  }
  return message.type === 'append' ? acceptedReply(message) : undefined
}

/** "I have it all, and it is on my disk." */
export function acceptedReply(append: Append): AppendReply {
  const { to: from, from: to, term, endPosition, round } = append
  return {
    type: 'appendReply',
    from,
    to,
    term,
    accepted: true,
    matchPosition: endPosition,
    endPosition,
    conflictTerm: NO_TERM,
    round,
    diskFull: false,
  }
}

export class Leader {
  readonly arena: LogArena
  readonly replica: Replica
  /** What the followers were sent and have not answered. */
  readonly #sent: PeerMessage[] = []
  #writeTo = 0
  #hardStateId = 0
  #sentBytes = 0

  constructor() {
    this.arena = new LogArena(
      LogArena.allocate({ sizeBytes: ARENA_BYTES, maxEntryBytes: MAX_ENTRY_BYTES }),
    )
    this.arena.reset(0)
    this.replica = this.#makeReplica()
    for (const id of FOLLOWERS) this.replica.onPeerConnected(id)
    for (let ticks = 0; !this.replica.leading; ticks++) {
      assert.ok(ticks < 1000, 'a candidate that everyone votes for wins')
      this.replica.tick()
      this.settle()
    }
    this.settle()
    assert.equal(this.replica.raft.role, Role.leader)
    assert.equal(this.replica.committedPosition, this.replica.endPosition)
  }

  /** Bytes that went to followers. */
  get sentBytes(): number {
    return this.#sentBytes
  }

  /** Everything laid is written, sent, acknowledged, and so committed. */
  settle(): void {
    const { replica, arena } = this
    replica.endTurn()
    while (this.#sent.length > 0 || arena.durable < this.#writeTo || this.#hardStateId > 0) {
      this.#answerDisk()
      for (let message = this.#sent.shift(); message !== undefined; message = this.#sent.shift()) {
        const answer = answerOf(message)
        if (answer !== undefined) replica.onPeerMessage(message.to, answer, NO_BYTES, 0, 0)
      }
      replica.endTurn()
    }
  }

  #answerDisk(): void {
    if (this.#hardStateId > 0) {
      const id = this.#hardStateId
      this.#hardStateId = 0
      this.replica.onHardStateSaved(id)
    }
    if (this.arena.durable < this.#writeTo) {
      this.arena.durable = this.#writeTo
      this.replica.onDurable(this.#writeTo)
    }
  }

  #makeReplica(): Replica {
    return new Replica({
      raft: newRaft(),
      arena: this.arena,
      end: { endPosition: 0, lastIndex: -1, lastTerm: NO_TERM, lastChainCrc: 0 },
      committedPosition: 0,
      segmentBytes: SEGMENT_BYTES,
      storage: {
        write: (toPosition) => {
          this.#writeTo = toPosition
        },
        truncate: () => assert.fail('a leader truncates nothing'),
        reset: () => assert.fail('a leader begins no log anew'),
        healed: () => assert.fail('nothing was lost'),
        saveHardState: (_state, id) => {
          this.#hardStateId = id
        },
        flush: () => {},
      },
      peers: {
        send: (_to, message, pieces) => {
          this.#sent.push(message)
          for (const { sizeBytes } of pieces ?? []) this.#sentBytes += sizeBytes
        },
        queuedBytes: () => 0,
        unflushedPosition: () => Number.POSITIVE_INFINITY,
        drop: (id, reason) => assert.fail(`${id} was dropped: ${reason}`),
      },
      peerIds: FOLLOWERS,
      reader: {
        aroundBytes: 0,
        range: () => assert.fail('followers are never behind the arena'),
        readAsync: () => assert.fail('followers are never behind the arena'),
      },
      syncBeforeAck: true,
      maxUncommittedBytes: ARENA_BYTES / 2,
      hooks: {
        barrier: () => Buffer.alloc(BARRIER_BYTES),
        patchBarrier: () => {},
        onRole: () => {},
        onCommit: () => {},
        onHalted: (reason) => assert.fail(reason),
        log: (level, line) => assert.notEqual(level, 'error', line),
      },
      wake: () => {},
    })
  }
}
