import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import { type LogTail, NO_TERM, type PeerMessage, Raft, Role } from './index.ts'

const EMPTY: LogTail = {
  firstPosition: 0,
  firstIndex: 0,
  endPosition: 0,
  lastIndex: -1,
  lastTerm: NO_TERM,
  spans: [],
}

function start(selfId: string, peerIds: string[], seed = 1): Raft {
  const raft = new Raft(
    { selfId, peerIds, random: seededRandom(seed) },
    { term: 0, votedFor: null },
    EMPTY,
  )
  for (const id of peerIds) raft.step({ type: 'peerConnected', id })
  return raft
}

/** Does what effects ask, at once; returns what was sent. */
function obey(raft: Raft): PeerMessage[] {
  const sent: PeerMessage[] = []
  for (;;) {
    const effects = raft.takeEffects()
    sent.push(...effects.send)
    let acted = false
    if (effects.accept !== undefined) {
      raft.step({ type: 'durable', position: effects.accept.toPosition })
      acted = true
    }
    if (effects.persist !== undefined) {
      raft.step({ type: 'hardStateSaved', id: effects.persist.id })
      acted = true
    }
    if (effects.becameLeader !== undefined) {
      const endPosition = raft.endPosition + 100
      raft.step({ type: 'appended', endPosition, lastIndex: raft.lastIndex + 1 })
      raft.step({ type: 'durable', position: endPosition })
      acted = true
    }
    if (!acted) return sent
  }
}

test('a group of one elects itself and commits what is durable', () => {
  const raft = start('n0', [])
  raft.tick()
  const persist = raft.takeEffects().persist
  assert.deepEqual(persist, { id: 1, term: 1, votedFor: 'n0' })
  assert.equal(raft.role, Role.candidate)
  raft.step({ type: 'hardStateSaved', id: 1 })
  assert.deepEqual(raft.takeEffects().becameLeader, { term: 1 })
  raft.step({ type: 'appended', endPosition: 100, lastIndex: 0 })
  assert.equal(raft.commitPosition, 0)
  raft.step({ type: 'durable', position: 100 })
  assert.equal(raft.takeEffects().commitPosition, 100)
})

test('three nodes elect a leader, replicate and commit', () => {
  const ids = ['n0', 'n1', 'n2']
  const nodes = new Map(
    ids.map((id, at) => [
      id,
      start(
        id,
        ids.filter((other) => other !== id),
        at + 1,
      ),
    ]),
  )
  const settle = (): void => {
    for (let busy = true; busy; ) {
      busy = false
      for (const raft of nodes.values()) {
        const sent = obey(raft)
        for (const id of ids) {
          const plan = raft.nextAppend(id)
          if (plan === undefined) continue
          const message = raft.sendAppend(plan, plan.limitPosition, raft.lastIndex)
          if (message !== undefined) sent.push(message)
        }
        for (const message of sent) {
          busy = true
          const target = nodes.get(message.to) as Raft
          target.step(message)
          nodes.get(message.to)
        }
      }
    }
  }
  for (let tick = 0; tick < 60; tick++) {
    for (const raft of nodes.values()) raft.tick()
    settle()
  }
  const leaders = [...nodes.values()].filter((raft) => raft.role === Role.leader)
  assert.equal(leaders.length, 1)
  for (const raft of nodes.values()) assert.equal(raft.commitPosition, 100)
})
