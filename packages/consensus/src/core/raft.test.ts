import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import { logOfTerms, tailOf } from './driver-fake.ts'
import {
  type Append,
  type AppendReply,
  type Effects,
  type HardState,
  type Install,
  NO_TERM,
  type PreVoteReply,
  ProgressState,
  Raft,
  type RaftConfig,
  Role,
} from './index.ts'

const PEERS = ['n1', 'n2']

interface Start {
  terms?: number[]
  hardState?: HardState
  config?: Partial<RaftConfig>
}

function start(options: Start = {}): Raft {
  const config = { selfId: 'n0', peerIds: PEERS, random: seededRandom(1), ...options.config }
  const hardState = options.hardState ?? {
    term: Math.max(0, ...(options.terms ?? [])),
    votedFor: null,
  }
  const raft = new Raft(config, hardState, tailOf(logOfTerms(options.terms ?? [])))
  for (const id of config.peerIds) raft.step({ type: 'peerConnected', id })
  return raft
}

function save(raft: Raft): Effects {
  const { persist } = raft.takeEffects()
  assert.ok(persist !== undefined)
  raft.step({ type: 'hardStateSaved', id: persist.id })
  return raft.takeEffects()
}

/** What n1 answers to the newest pre-vote. */
function preVoteGrant(raft: Raft): PreVoteReply {
  const asked = raft.takeEffects().send.findLast(({ type }) => type === 'preVote')
  assert.ok(asked?.type === 'preVote')
  const { term, nextTerm, askedTick } = asked
  const answer = { type: 'preVoteReply', granted: true, reason: 'none' } as const
  return { ...answer, from: 'n1', to: 'n0', term, nextTerm, askedTick }
}

/** A leader whose barrier is laid, synced and acknowledged by n1. */
function startLeader(options: Start = {}): Raft {
  const raft = start(options)
  const { term } = raft
  while (raft.role !== Role.preCandidate) raft.tick()
  const to = 'n0'
  const granted = { granted: true, reason: 'none' } as const
  raft.step({ ...preVoteGrant(raft), term })
  save(raft)
  raft.step({ type: 'voteReply', from: 'n1', to, term: term + 1, ...granted })
  assert.equal(raft.role, Role.leader)
  append(raft, 50)
  raft.step({ type: 'durable', position: raft.endPosition })
  raft.step(reply(raft, 'n1', { matchPosition: raft.endPosition, endPosition: raft.endPosition }))
  raft.takeEffects()
  assert.ok(raft.serving)
  return raft
}

function append(raft: Raft, sizeBytes: number): void {
  const endPosition = raft.endPosition + sizeBytes
  raft.step({ type: 'appended', endPosition, lastIndex: raft.lastIndex + 1 })
}

function reply(raft: Raft, from: string, part: Partial<AppendReply>): AppendReply {
  return {
    type: 'appendReply',
    from,
    to: 'n0',
    term: raft.term,
    accepted: true,
    matchPosition: 0,
    endPosition: 0,
    conflictTerm: NO_TERM,
    round: 1,
    diskFull: false,
    ...part,
  }
}

/** An Append of n1 as leader of `term`, without entries unless given. */
function appendOf(term: number, part: Partial<Append> = {}): Append {
  return {
    type: 'append',
    from: 'n1',
    to: 'n0',
    term,
    prevPosition: 0,
    prevTerm: NO_TERM,
    endPosition: part.prevPosition ?? 0,
    lastIndex: -1,
    spans: [],
    commitPosition: 0,
    round: 1,
    ...part,
  }
}

function peerOf(raft: Raft, id: string) {
  const peer = raft.status().peers.find((each) => each.id === id)
  assert.ok(peer !== undefined)
  return peer
}

test('messages to others, and from strangers, change nothing', () => {
  const raft = start()
  raft.takeEffects()
  raft.step({ ...appendOf(5), to: 'n2' })
  raft.step({ ...appendOf(5), from: 'n9' })
  assert.equal(raft.term, 0)
  assert.equal(raft.takeEffects().send.length, 0)
})

test('taking effects twice gives nothing the second time', () => {
  const raft = start()
  while (raft.role !== Role.preCandidate) raft.tick()
  assert.equal(raft.takeEffects().send.length, 2)
  assert.equal(raft.takeEffects().send.length, 0)
  assert.equal(raft.takeEffects(), raft.takeEffects(), 'nothing is allocated for nothing')
})

test('a log newer than the saved term lifts the term, and that is saved before any answer', () => {
  const raft = start({ terms: [1, 4], hardState: { term: 2, votedFor: 'n1' } })
  assert.equal(raft.term, 4)
  assert.equal(raft.status().votedFor, null)
  raft.step(appendOf(4))
  const effects = raft.takeEffects()
  assert.deepEqual(effects.persist, { id: 1, term: 4, votedFor: null })
  assert.equal(effects.send.length, 0)
  raft.step({ type: 'hardStateSaved', id: 1 })
  assert.equal(raft.takeEffects().send[0]?.type, 'appendReply')
})

test('a known commit position is taken over, but not beyond the log', () => {
  const tail = tailOf(logOfTerms([1, 1]))
  const config = { selfId: 'n0', peerIds: PEERS, random: seededRandom(1) }
  const hardState = { term: 1, votedFor: null }
  assert.equal(new Raft(config, hardState, { ...tail, commitPosition: 100 }).commitPosition, 100)
  assert.equal(new Raft(config, hardState, { ...tail, commitPosition: 900 }).commitPosition, 200)
})

test('ranges whose spans do not describe them are dropped without an answer', () => {
  const good = { term: 1, firstPosition: 0, firstIndex: 0 }
  const broken: Partial<Append>[] = [
    { spans: [] },
    { spans: [good], endPosition: -5 },
    { spans: [{ ...good, term: 9 }] },
    { spans: [{ ...good, firstPosition: 50 }] },
    { spans: [{ ...good, firstIndex: 1 }] },
    { spans: [good, { term: 1, firstPosition: 50, firstIndex: 0 }] },
    { spans: [good, { term: 2, firstPosition: 100, firstIndex: 1 }] },
    {
      spans: [
        { ...good, term: 2 },
        { ...good, term: 1, firstPosition: 50 },
      ],
    },
  ]
  for (const part of broken) {
    const raft = start({ hardState: { term: 3, votedFor: null } })
    raft.step(appendOf(3, { endPosition: 100, lastIndex: 0, ...part }))
    const effects = raft.takeEffects()
    assert.equal(effects.accept, undefined)
    assert.equal(effects.send.length, 0)
    assert.equal(raft.endPosition, 0)
  }
})

test('a range that leaves a gap in the index is not taken', () => {
  const raft = start({ terms: [1] })
  const spans = [{ term: 2, firstPosition: 100, firstIndex: 5 }]
  raft.step(appendOf(2, { prevPosition: 100, prevTerm: 1, endPosition: 200, lastIndex: 5, spans }))
  assert.equal(raft.takeEffects().accept, undefined)
  assert.equal(raft.endPosition, 100)
})

test('a leader that contradicts committed entries stops the node', () => {
  const raft = start({ terms: [1, 1] })
  raft.step(appendOf(1, { prevPosition: 200, prevTerm: 1, commitPosition: 200 }))
  const spans = [{ term: 2, firstPosition: 100, firstIndex: 1 }]
  raft.step(appendOf(3, { prevPosition: 100, prevTerm: 1, endPosition: 300, lastIndex: 2, spans }))
  assert.equal(raft.takeEffects().accept, undefined, 'committed entries are not compared again')
  const other = [
    { term: 1, firstPosition: 0, firstIndex: 0 },
    { term: 2, firstPosition: 300, firstIndex: 3 },
  ]
  const fresh = start({ terms: [1, 1, 2] })
  fresh.step(appendOf(2, { prevPosition: 300, prevTerm: 2 }))
  fresh.step(appendOf(2, { prevPosition: 0, endPosition: 400, lastIndex: 3, spans: other }))
  assert.match(fresh.takeEffects().halted ?? '', /contradicts/)
  assert.equal(fresh.role, Role.halted)
})

test('two leaders in one term stop the node that sees it', () => {
  const raft = startLeader()
  raft.step(appendOf(raft.term))
  assert.match(raft.takeEffects().halted ?? '', /two leaders/)
})

test('a halted node ignores everything', () => {
  const raft = start()
  raft.takeEffects()
  raft.step({ type: 'storageFailed', reason: 'disk failed' })
  assert.equal(raft.takeEffects().halted, 'disk failed')
  raft.step(appendOf(7))
  for (let tick = 0; tick < 100; tick++) raft.tick()
  assert.equal(raft.takeEffects().send.length, 0)
  assert.equal(raft.status().term, 0)
})

test('what was synced before a cut does not count for what comes after it', () => {
  const raft = start({ terms: [1] })
  const of = (term: number): Partial<Append> => ({
    prevPosition: 100,
    prevTerm: 1,
    endPosition: 200,
    lastIndex: 1,
    spans: [{ term, firstPosition: 100, firstIndex: 1 }],
  })
  raft.step(appendOf(1, of(1)))
  assert.equal(raft.takeEffects().accept?.toPosition, 200)
  raft.step({ ...appendOf(2, of(2)), from: 'n2' })
  const effects = raft.takeEffects()
  assert.deepEqual(effects.truncate, { position: 100 })
  raft.step({ type: 'durable', position: 200 })
  assert.equal(raft.status().durablePosition, 100)
  raft.step({ type: 'hardStateSaved', id: effects.persist?.id ?? -1 })
  raft.step({ type: 'truncated' })
  raft.step({ ...appendOf(2, of(2)), from: 'n2' })
  assert.equal(raft.takeEffects().accept?.fromPosition, 100)
  assert.equal(raft.status().durablePosition, 100)
})

test('a report of more durable bytes than were written is a broken driver', () => {
  const raft = start({ terms: [1] })
  assert.throws(() => raft.step({ type: 'durable', position: 200 }), /more is durable/)
  assert.throws(() => raft.step({ type: 'hardStateSaved', id: 5 }), /nobody gave out/)
})

test('only a leader may lay entries', () => {
  const raft = start()
  assert.throws(() => append(raft, 100), /only a leader/)
})

test('a plan is void once its peer reconnected, and can be cancelled', () => {
  const raft = startLeader()
  append(raft, 100)
  const plan = raft.nextAppend('n1')
  assert.ok(plan !== undefined)
  assert.equal(raft.nextAppend('n1'), undefined, 'one plan at a time')
  raft.cancelAppend(plan)
  const again = raft.nextAppend('n1')
  assert.ok(again !== undefined)
  assert.ok(raft.planHolds(again))
  raft.step({ type: 'peerDisconnected', id: 'n1' })
  raft.step({ type: 'peerConnected', id: 'n1' })
  assert.ok(!raft.planHolds(again))
  assert.equal(raft.sendAppend(again, again.limitPosition, raft.lastIndex), undefined)
  raft.cancelAppend(again)
  assert.equal(peerOf(raft, 'n1').state, ProgressState.probe)
})

test('a plan may be sent in part; the rest is planned next', () => {
  const raft = startLeader()
  append(raft, 100)
  append(raft, 100)
  const plan = raft.nextAppend('n1')
  assert.ok(plan !== undefined)
  assert.throws(() => raft.sendAppend(plan, plan.limitPosition + 1, 9), /past the limit/)
  const message = raft.sendAppend(plan, plan.prevPosition + 100, 1)
  assert.equal(message?.endPosition, 150)
  assert.equal(raft.nextAppend('n1')?.prevPosition, 150)
})

test('an answer that cannot be true is dropped', () => {
  const raft = startLeader()
  append(raft, 100)
  raft.step(reply(raft, 'n1', { matchPosition: 9000, endPosition: 9000 }))
  raft.step(reply(raft, 'n1', { matchPosition: 150, endPosition: 150, round: 99 }))
  assert.equal(peerOf(raft, 'n1').matchPosition, 50)
  assert.equal(raft.commitPosition, 50)
})

test('old refusals do not move a peer back', () => {
  const raft = startLeader()
  append(raft, 100)
  const plan = raft.nextAppend('n1')
  assert.ok(plan !== undefined)
  raft.sendAppend(plan, 150, 1)
  raft.step(reply(raft, 'n1', { accepted: false, endPosition: 50 }))
  const probe = raft.takeEffects().send[0] as Append
  assert.equal(probe.prevPosition, 50)
  raft.step(reply(raft, 'n1', { endPosition: 50, matchPosition: 50, round: probe.round }))
  assert.equal(peerOf(raft, 'n1').state, ProgressState.replicate)
  raft.step(reply(raft, 'n1', { accepted: false, endPosition: 0, round: probe.round - 1 }))
  assert.equal(peerOf(raft, 'n1').state, ProgressState.replicate)
})

test('a peer that needs what retention dropped is told to begin anew, at each heartbeat', () => {
  const raft = startLeader({ terms: [1, 1, 1] })
  raft.step({ type: 'trimmed', firstPosition: 200, firstIndex: 2 })
  raft.takeEffects()
  raft.step(reply(raft, 'n2', { accepted: false, endPosition: 100 }))
  assert.equal(peerOf(raft, 'n2').state, ProgressState.behindLogStart)
  assert.equal(raft.nextAppend('n2'), undefined)
  for (let tick = 0; tick < 4; tick++) raft.tick()
  const beat = raft.takeEffects().send.find((message) => message.to === 'n2') as Install
  assert.deepEqual([beat.type, beat.firstPosition, beat.firstIndex], ['install', 200, 2])
  // Its store was copied from another node meanwhile.
  raft.step({ type: 'peerConnected', id: 'n2' })
  raft.step(reply(raft, 'n2', { endPosition: 350, matchPosition: 300, round: beat.round }))
  assert.equal(peerOf(raft, 'n2').state, ProgressState.replicate)
})

test('trimming marks peers that were still being served from there', () => {
  const raft = startLeader({ terms: [1, 1, 1] })
  raft.step(reply(raft, 'n2', { accepted: false, endPosition: 100 }))
  assert.equal(peerOf(raft, 'n2').nextPosition, 100)
  raft.step({ type: 'trimmed', firstPosition: 300, firstIndex: 3 })
  assert.equal(peerOf(raft, 'n2').state, ProgressState.behindLogStart)
  assert.throws(
    () => raft.step({ type: 'trimmed', firstPosition: 400, firstIndex: 9 }),
    /uncommitted/,
  )
})

test('reads beyond the bound are refused at once', () => {
  const raft = startLeader({ config: { maxPendingReads: 2 } })
  for (const id of [1, 2, 3]) raft.step({ type: 'readIndex', id })
  assert.deepEqual(raft.takeEffects().reads, [{ id: 3, position: -1 }])
})

test('the commit position is flushed once, and only to peers with nothing else to get', () => {
  const raft = startLeader()
  raft.flushCommit()
  assert.deepEqual(
    raft.takeEffects().send.map((message) => [message.to, (message as Append).commitPosition]),
    [['n1', 50]],
  )
  raft.flushCommit()
  assert.equal(raft.takeEffects().send.length, 0)
})

test('a leader keeps its office while a majority answers, and not longer', () => {
  const raft = startLeader()
  for (let tick = 0; tick < 36; tick++) raft.tick()
  assert.equal(raft.role, Role.leader)
  raft.tick()
  assert.equal(raft.role, Role.follower)
  assert.match(raft.status().lastElectionReason, /no majority/)
})

test('failed campaigns are tried again quickly at first, then at the pace of elections', () => {
  const raft = start()
  const pauses: number[] = []
  let since = 0
  for (let tick = 0; tick < 600; tick++) {
    raft.tick()
    since++
    if (raft.takeEffects().send.length === 0) continue
    pauses.push(since)
    since = 0
  }
  assert.ok(pauses.slice(0, 4).every((pause) => pause <= 8))
  assert.ok(pauses.slice(8).every((pause) => pause >= 16 && pause <= 36))
})

test('a pre-vote that was granted long ago does not count, a late one does', () => {
  const raft = start()
  while (raft.role !== Role.preCandidate) raft.tick()
  const old = preVoteGrant(raft)
  for (let tick = 0; tick < 100; tick++) raft.tick()
  const late = preVoteGrant(raft)
  assert.ok(late.askedTick > old.askedTick)
  raft.step(old)
  assert.equal(raft.role, Role.preCandidate)
  assert.equal(raft.term, 0)
  raft.tick()
  raft.step(late)
  assert.equal(raft.role, Role.candidate)
})

test('a candidate whose own vote is not synced does not outrun its disk', () => {
  const raft = start()
  while (raft.role !== Role.preCandidate) raft.tick()
  raft.step(preVoteGrant(raft))
  for (let tick = 0; tick < 200; tick++) raft.tick()
  assert.equal(raft.term, 1)
  assert.equal(raft.role, Role.candidate)
})
