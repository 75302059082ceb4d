/**
 * Deliberate bugs: what each line of the shipped code is for. A mutation replaces one text of one
 * shipped file while it is loaded, so that the shipped code needs no switch; the simulation must
 * find each within the seeds given. A test fails when a text is no longer there exactly once.
 */
export interface Mutation {
  readonly name: string
  /** From the root of the project. */
  readonly file: string
  readonly find: string
  readonly replace: string
  /** What goes wrong with it. */
  readonly breaks: string
  /** Found within the seeds from 1 to this. */
  readonly seeds: number
}

const CORE = 'packages/consensus/src/core/'

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'vote-before-sync',
    file: `${CORE}voter.ts`,
    find: "state.sendWhenSaved({\n    type: 'voteReply'",
    replace: "state.send({\n    type: 'voteReply'",
    breaks: 'a vote leaves before it is synced; after a crash the node votes again',
    seeds: 5,
  },
  {
    name: 'ack-before-sync',
    file: `${CORE}follower.ts`,
    find: '      state.durablePosition,\n      state.verifiedEnd,\n',
    replace: '      state.verifiedEnd,\n',
    breaks: 'a follower acknowledges entries that its disk does not have',
    seeds: 5,
  },
  {
    name: 'ack-unverified',
    file: `${CORE}follower.ts`,
    find: '      state.durablePosition,\n      state.verifiedEnd,\n',
    replace: '      state.durablePosition,\n',
    breaks: 'a follower acknowledges a tail that it never compared with the leader',
    seeds: 50,
  },
  {
    name: 'leader-counts-unsynced',
    file: `${CORE}leader.ts`,
    find: 'scratch[peers.length] = state.durablePosition',
    replace: 'scratch[peers.length] = state.log.endPosition',
    breaks: 'a leader counts itself for entries that its own disk does not have',
    seeds: 5,
  },
  {
    name: 'commit-old-term',
    file: `${CORE}leader.ts`,
    find: 'if (reached <= state.termStartPosition || reached <= state.commitPosition) return',
    replace: 'if (reached <= state.commitPosition) return',
    breaks: 'entries of older terms are committed by counting (Raft, figure 8)',
    seeds: 200,
  },
  {
    name: 'commit-beyond-own-log',
    file: `${CORE}follower.ts`,
    find: 'Math.max(state.commitPosition, Math.min(message.commitPosition, state.verifiedEnd))',
    replace:
      'Math.max(state.commitPosition, Math.min(message.commitPosition, state.log.endPosition))',
    breaks: 'a follower believes a commit position for entries that are not the leader’s',
    seeds: 200,
  },
  {
    name: 'no-pre-vote',
    file: `${CORE}candidate.ts`,
    find: 'startPreVote(state, timeoutReason(state))',
    replace: 'campaign(state, false, timeoutReason(state))',
    breaks: 'a node that was away raises terms and deposes a healthy leader',
    seeds: 20,
  },
  {
    name: 'no-check-quorum',
    file: `${CORE}raft.ts`,
    find: 'if (!hearsMajority(state)) {',
    replace: 'if (false as boolean) {',
    breaks: 'a leader that hears nobody stays leader and keeps the group from another',
    seeds: 20,
  },
  {
    name: 'read-without-round',
    file: `${CORE}leader.ts`,
    find: 'state.reads.add(id, state.commitPosition)) {\n    state.effects.reads.push({ id, position: -1 })',
    replace:
      'state.effects.reads.push({ id, position: state.commitPosition }) < 0) {\n    state.effects.reads.push({ id, position: -1 })',
    breaks: 'a leader that was replaced answers reads from an old commit position',
    seeds: 200,
  },
  {
    name: 'vote-for-longer-log',
    file: `${CORE}log-view.ts`,
    find: 'if (lastTerm !== this.lastTerm) return lastTerm > this.lastTerm\n',
    replace: 'if (lastTerm === -2) return lastTerm > this.lastTerm\n',
    breaks: 'a long tail of an old term wins an election over what is committed',
    seeds: 200,
  },
  {
    name: 'vote-for-any-log',
    file: `${CORE}log-view.ts`,
    find: 'if (lastTerm !== this.lastTerm) return lastTerm > this.lastTerm\n',
    replace: 'if (lastTerm > -2) return true\n',
    breaks: 'a node wins an election that lacks what is committed',
    seeds: 50,
  },
  {
    name: 'votes-twice',
    file: `${CORE}voter.ts`,
    find: '  if (state.votedFor !== null && state.votedFor !== message.from) return VoteRefusal.alreadyVoted\n',
    replace: '',
    breaks: 'two candidates get the same vote of one term',
    seeds: 50,
  },
  {
    name: 'vote-not-kept',
    file: 'packages/io/src/hard-state.ts',
    find: '    if (state === SlotFileState.VALID) this.#current = decode(payload)\n',
    replace:
      '    if (state === SlotFileState.VALID) this.#current = { ...decode(payload), votedFor: null }\n',
    breaks: 'a restarted node votes once more in a term in which it has voted',
    seeds: 10,
  },
  {
    name: 'hard-state-not-synced',
    file: 'packages/io/src/slot-file.ts',
    find: '      this.#write(file, payload)\n      file.sync()\n',
    replace: '      this.#write(file, payload)\n',
    breaks: 'term and vote are called saved and lie in the page cache only',
    seeds: 20,
  },
  {
    name: 'hard-state-one-slot',
    file: 'packages/io/src/slot-file.ts',
    find: 'file.writeAt(this.#slot, 0, SLOT_BYTES, this.#next * SLOT_BYTES)\n    this.#next = 1 - this.#next',
    replace: 'file.writeAt(this.#slot, 0, SLOT_BYTES, 0)',
    breaks: 'the only copy of term and vote is overwritten in place, and a torn write loses it',
    seeds: 200,
  },
  {
    name: 'truncation-not-zeroed',
    file: 'packages/io/src/segment-files.ts',
    find: '    file.setLength(position - keep)\n    file.setLength(this.segmentBytes)\n',
    replace: '',
    breaks: 'a tail that was cut off stays in the file and is found by a later start',
    seeds: 300,
  },
  {
    name: 'tail-without-checksum',
    file: 'packages/io/src/entry-scan.ts',
    find: 'return checkEntry(this.#window, this.#view, offset, available, this.#expected)',
    replace: `const found = checkEntry(this.#window, this.#view, offset, available, this.#expected)
    return found === 'bodyCrc' || found === 'chainCrc' ? 'ok' : found`,
    breaks: 'a torn entry in the tail is taken for whole',
    seeds: 300,
  },
  {
    name: 'chain-not-continued',
    file: 'packages/consensus/src/entry-writer.ts',
    find: 'sealEntry(bytes, view, this.#claimedOffset, this.#end.lastChainCrc)',
    replace: 'sealEntry(bytes, view, this.#claimedOffset, 0)',
    breaks: 'an entry does not seal the history before it, so that any stale one seems to follow',
    seeds: 2,
  },
  {
    name: 'prefix-not-compared',
    file: `${CORE}follower.ts`,
    find: '  if (ownTerm === prevTerm) return true\n',
    replace: '  if (ownTerm >= -1) return true\n',
    breaks: 'a follower lays entries behind a tail that is not the leader’s',
    seeds: 50,
  },
  {
    name: 'failed-sync-is-good',
    file: 'packages/io/src/segment-files.ts',
    find: '    for (const base of this.#unsynced) this.#file(base).sync()\n    this.#unsynced.length = 0\n',
    replace: `    for (const base of this.#unsynced) {
      try {
        this.#file(base).sync()
      } catch {
        this.#file(base).sync()
      }
    }
    this.#unsynced.length = 0
`,
    breaks: 'a failed fdatasync is repeated, which writes nothing and says that all is well',
    seeds: 300,
  },
  {
    name: 'index-before-sync',
    file: 'packages/io/src/log-store.ts',
    find: '    arena.forEachPiece(from, to, this.#writePiece)\n    this.#data.sync()\n',
    replace: '    arena.forEachPiece(from, to, this.#writePiece)\n',
    breaks: 'entries are called durable that were only written',
    seeds: 20,
  },
  {
    name: 'direct-write-forgets-the-block',
    file: 'packages/io/src/tail-block.ts',
    find: '    if (inBlock > 0 && this.#end !== position) {\n',
    replace: '    if (inBlock > 0 && this.#end === position) {\n',
    breaks: 'a direct write puts zeros or older bytes in the place of durable entries',
    seeds: 20,
  },
  {
    name: 'start-does-not-write-anew',
    file: 'packages/io/src/recovery.ts',
    find: '    this.#data.writeAnew(proven.position, result.end.position)\n',
    replace: '',
    breaks: 'what a failed sync left in the page cache is believed to be on the disk',
    seeds: 300,
  },
  {
    name: 'restart-in-the-same-term',
    file: `${CORE}state.ts`,
    find: 'this.votedFor = this.term === hardState.term ? hardState.votedFor : null',
    replace: 'this.votedFor = null',
    breaks: 'a restarted node forgets whom it voted for',
    seeds: 5,
  },
]
