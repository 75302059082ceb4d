/**
 * A leader's turn with two followers that answer at once: the pure machine alone, and with the
 * replica that lays the entries of a turn into the arena.
 */
import assert from 'node:assert/strict'
import { type Raft, Role } from '@ringledger/consensus'
import type { MicroBench, Operation } from '../micro-bench.ts'
import { acceptedReply, answerOf, FOLLOWERS, Leader, newRaft } from './leader.ts'

const ENTRIES_PER_TURN = 64
const ENTRY_BYTES = 1024
const TURN_BYTES = ENTRIES_PER_TURN * ENTRY_BYTES
const BODY_BYTES = ENTRY_BYTES - 48

function elect(raft: Raft): void {
  for (const id of FOLLOWERS) raft.step({ type: 'peerConnected', id })
  for (let ticks = 0; raft.role !== Role.leader; ticks++) {
    assert.ok(ticks < 1000, 'a candidate that everyone votes for wins')
    raft.tick()
    for (let effects = raft.takeEffects(); ; effects = raft.takeEffects()) {
      if (effects.persist !== undefined) {
        raft.step({ type: 'hardStateSaved', id: effects.persist.id })
      }
      for (const message of effects.send) {
        const answer = answerOf(message)
        if (answer !== undefined) raft.step(answer)
      }
      if (effects.send.length === 0 && effects.persist === undefined) break
    }
  }
}

/** Entries appended, sent to both, durable here and there, committed. */
function turn(raft: Raft): void {
  const endPosition = raft.endPosition + TURN_BYTES
  const lastIndex = raft.lastIndex + ENTRIES_PER_TURN
  raft.step({ type: 'appended', endPosition, lastIndex })
  raft.takeEffects()
  for (const id of FOLLOWERS) {
    const plan = raft.nextAppend(id)
    assert.ok(plan !== undefined)
    const append = raft.sendAppend(plan, endPosition, lastIndex)
    assert.ok(append !== undefined)
    raft.step(acceptedReply(append))
  }
  raft.step({ type: 'durable', position: endPosition })
  raft.flushCommit()
  raft.takeEffects()
}

function raftTurn(): Operation {
  const raft = newRaft()
  elect(raft)
  turn(raft)
  const run = (count: number): void => {
    for (let index = 0; index < count; index++) turn(raft)
  }
  return {
    name: 'raft: a turn of a leader, 2 followers',
    batch: 32,
    run,
    check: () => {
      const before = raft.endPosition
      run(1)
      assert.equal(raft.commitPosition, before + TURN_BYTES)
      assert.equal(raft.role, Role.leader)
    },
  }
}

function replicaTurn(entriesPerTurn: number): Operation {
  const leader = new Leader()
  const { replica } = leader
  const body = Buffer.alloc(BODY_BYTES, 0x62)
  const run = (count: number): void => {
    for (let done = 0; done < count; done += entriesPerTurn) {
      for (let index = 0; index < entriesPerTurn; index++) {
        const offset = replica.claim(BODY_BYTES)
        body.copy(replica.bytes, offset)
        replica.seal()
      }
      leader.settle()
    }
  }
  return {
    name: `replica: entry of 1 KiB, ${entriesPerTurn} a turn`,
    batch: 128,
    bytes: ENTRY_BYTES,
    run,
    check: () => {
      const before = replica.endPosition
      const sentBefore = leader.sentBytes
      run(entriesPerTurn)
      const laid = entriesPerTurn * ENTRY_BYTES
      assert.equal(replica.endPosition, before + laid)
      assert.equal(replica.committedPosition, replica.endPosition)
      assert.equal(leader.arena.committed, replica.endPosition)
      assert.equal(leader.sentBytes, sentBefore + laid * FOLLOWERS.length)
    },
  }
}

export const bench: MicroBench = {
  title: "a leader's turn: the Raft machine alone, and with the replica that drives it",
  open: () => ({ operations: [raftTurn(), replicaTurn(64), replicaTurn(1)] }),
}
