import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blankNeeded, ENTRY_HEADER_BYTES } from '@ringledger/protocol'
import { ClaimRefusal } from './entry-writer.ts'
import {
  ARENA_BYTES,
  MAX_ENTRY_BYTES,
  OtherLog,
  SEGMENT_BYTES,
  TestReplica,
} from './replica-fake.ts'

/** What a node's file holds must be what the other log holds. */
function assertSameFile(node: TestReplica, other: OtherLog): void {
  assert.equal(node.halted, '')
  assert.equal(node.storage.end.endPosition, other.end)
  assert.ok(node.storage.file.subarray(0, other.end).equals(other.bytes(0, other.end)))
}

/** Entries of `term` until the log is several laps longer. */
function fillLaps(other: OtherLog, term: number): void {
  const end = other.end + 3 * ARENA_BYTES
  for (let size = 500; other.end < end; size = (size + 777) % 3900) other.append(term, size)
}

/** A leader whose socket to `n2` has stopped taking the bytes that it was sent. */
function leaderWithStuckPeer(): TestReplica {
  const node = new TestReplica()
  node.elect()
  node.settle(['n1', 'n2'])
  node.peers.stuck.add('n2')
  node.append(3000)
  node.settle()
  assert.ok(node.arena.pinned < node.replica.endPosition, 'a socket holds bytes of the arena')
  return node
}

/** Another node leads `term`, with all that this node has. */
function depose(node: TestReplica, term: number): OtherLog {
  const other = new OtherLog()
  other.adopt(node, node.replica.endPosition)
  const { end } = other
  other.append(term, 100)
  other.send(node, 'n1', term, end, other.end)
  node.replica.endTurn()
  node.storage.run(node.replica)
  assert.equal(node.replica.leading, false)
  assert.equal(node.replica.endPosition, other.end)
  return other
}

test('what was laid before a message that ends the term is in the log under that term', () => {
  const node = new TestReplica()
  node.elect()
  const { term } = node.replica
  const end = node.append(100)
  // Nothing was published yet; now a higher term is heard of.
  node.receive({
    type: 'preVoteReply',
    from: 'n1',
    to: 'n0',
    term: term + 1,
    nextTerm: term + 2,
    askedTick: 0,
    granted: false,
    reason: 'termBehind',
  })
  assert.equal(node.replica.leading, false)
  assert.equal(node.roles.at(-1)?.role, 'follower')
  const status = node.replica.raft.status()
  assert.deepEqual([status.endPosition, status.lastTerm], [end, term])
  node.storage.run(node.replica)
  assert.deepEqual([node.storage.end.endPosition, node.storage.end.lastTerm], [end, term])
})

test('a deposed leader follows through whole laps after a socket of its own time has emptied', () => {
  const node = leaderWithStuckPeer()
  const other = depose(node, 9)
  node.peers.drain('n2')
  fillLaps(other, 9)
  other.stream(node, 'n1', 9)
  assertSameFile(node, other)
  assert.deepEqual(node.peers.dropped, [])
})

test('a deposed leader lets go of a peer that never takes the bytes of its time', () => {
  const node = leaderWithStuckPeer()
  const other = depose(node, 9)
  fillLaps(other, 9)
  other.stream(node, 'n1', 9)
  assertSameFile(node, other)
  assert.deepEqual(
    node.peers.dropped.map(({ id }) => id),
    ['n2'],
  )
})

test('bytes of a cut tail that a socket still reads are not overwritten: the peer is let go', () => {
  const node = leaderWithStuckPeer()
  const kept = node.replica.endPosition
  node.append(2000, 7)
  node.replica.endTurn()
  node.storage.run(node.replica)
  const other = new OtherLog()
  other.adopt(node, kept)
  other.append(9, 3000)
  other.send(node, 'n1', 9, kept, other.end)
  node.replica.endTurn()
  node.storage.run(node.replica)
  assert.equal(node.replica.endPosition, kept)
  other.stream(node, 'n1', 9)
  assertSameFile(node, other)
  assert.deepEqual(
    node.peers.dropped.map(({ id }) => id),
    ['n2'],
  )
})

function eventsHandled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function endAfter(node: TestReplica, bodyBytes: number): number {
  const { endPosition } = node.replica
  const entryBytes = ENTRY_HEADER_BYTES + bodyBytes
  const blank = blankNeeded(endPosition % SEGMENT_BYTES, entryBytes, SEGMENT_BYTES)
  return endPosition + blank + entryBytes
}

/** No majority answers any more; then one does, and the node leads its next term. */
function leadAgain(node: TestReplica): void {
  const { term } = node.replica
  for (let ticks = 0; ticks < 100 && node.replica.leading; ticks++) node.replica.tick()
  assert.equal(node.replica.leading, false)
  node.elect()
  assert.ok(node.replica.term > term)
  assert.equal(node.halted, '')
}

test('a leader whose disk is full lays its next barrier into what clients may not fill', () => {
  const node = new TestReplica()
  node.elect()
  node.settle(['n1', 'n2'])
  node.storage.full = true
  const durable = node.storage.end.endPosition
  for (const bodyBytes of [500, 0]) {
    while (node.replica.claim(bodyBytes) >= 0) {
      node.replica.seal()
      node.settle(['n1', 'n2'])
    }
  }
  assert.equal(node.replica.committedPosition, node.replica.endPosition)
  assert.equal(node.storage.end.endPosition, durable)
  const { endPosition } = node.replica
  leadAgain(node)
  assert.ok(node.replica.endPosition > endPosition)
  node.storage.full = false
  node.settle()
  assert.equal(node.storage.end.endPosition, node.replica.endPosition)
})

test('a leader that is elected again lays its barrier over what a stuck socket holds', () => {
  const node = leaderWithStuckPeer()
  const limit = node.arena.pinned + ARENA_BYTES
  for (const bodyBytes of [500, 0]) {
    while (endAfter(node, bodyBytes) <= limit) {
      node.append(bodyBytes)
      node.settle()
    }
  }
  assert.deepEqual(node.peers.dropped, [])
  leadAgain(node)
  assert.equal(node.storage.end.lastTerm, node.replica.term)
  assert.deepEqual(
    node.peers.dropped.map(({ id }) => id),
    ['n2'],
  )
})

test('a cut behind what this very turn took comes after the write of it', () => {
  const node = new TestReplica()
  const older = new OtherLog()
  const shared = older.append(3, 100)
  older.append(4, 200)
  const newer = new OtherLog()
  newer.append(3, 100)
  newer.append(5, 300)
  // Both leaders' words lay in the sockets, as after a stopped process goes on.
  older.send(node, 'n1', 4, 0, older.end)
  newer.send(node, 'n2', 5, shared, newer.end)
  node.replica.endTurn()
  node.storage.run(node.replica)
  assert.equal(node.replica.endPosition, shared)
  newer.stream(node, 'n2', 5)
  assertSameFile(node, newer)
})

/** A follower of `n1` that has entries of term 3 committed, and their log. */
function committedFollower(): { node: TestReplica; other: OtherLog } {
  const node = new TestReplica()
  const other = new OtherLog()
  for (let entries = 0; entries < 4; entries++) other.append(3, 100)
  other.stream(node, 'n1', 3)
  node.receive({ ...other.message('n1', 3, other.end, other.end), commitPosition: other.end })
  assert.equal(node.replica.committedPosition, other.end)
  return { node, other }
}

test('a node leaves the group rather than follow a leader that lost what is committed', () => {
  const { node, other } = committedFollower()
  const lost = new OtherLog()
  for (let entries = 0; entries < 3; entries++) lost.append(3, 100)
  const { end } = lost
  lost.append(5, 300)
  lost.send(node, 'n2', 5, end, lost.end)
  assert.match(node.halted, /lost acknowledged entries/)
  node.storage.run(node.replica)
  assert.equal(node.storage.end.endPosition, other.end)
})

test('the same when the leader has gone on behind the place where the logs part', () => {
  const { node } = committedFollower()
  const lost = new OtherLog()
  for (let entries = 0; entries < 2; entries++) lost.append(3, 100)
  for (let entries = 0; entries < 2; entries++) lost.append(5, 100)
  const { end } = lost
  lost.append(5, 100)
  // Its entries are as long as ours, so that every position is an end of entries in both logs.
  lost.send(node, 'n2', 5, end, lost.end)
  assert.match(node.halted, /lost acknowledged entries/)
})

test('entries that are committed here already are taken again without harm', () => {
  const { node, other } = committedFollower()
  const { end } = other
  other.append(3, 50)
  other.send(node, 'n1', 3, 0, other.end)
  node.replica.endTurn()
  node.storage.run(node.replica)
  assert.ok(other.end > end)
  assertSameFile(node, other)
})

test('a peer that does not read is let go, and gets what it missed from the files', async () => {
  const node = leaderWithStuckPeer()
  const begin = node.arena.pinned
  while (node.peers.dropped.length === 0) {
    node.append(1000)
    node.settle()
    assert.ok(node.replica.endPosition < 2 * ARENA_BYTES)
  }
  assert.deepEqual(node.peers.dropped, [{ id: 'n2', reason: 'too slow' }])
  while (node.arena.oldest < begin + ARENA_BYTES / 4) {
    node.append(1000)
    node.settle()
  }
  node.peers.stuck.delete('n2')
  node.replica.onPeerDisconnected('n2')
  node.replica.onPeerConnected('n2')
  node.peers.sent.length = 0
  const { endPosition } = node.replica
  let reads = 0
  let reached = begin
  node.accept('n2', reached)
  while (reached < endPosition) {
    node.replica.endTurn()
    await eventsHandled()
    assert.ok(node.reader.reads.length <= 1, 'one read per peer')
    for (const read of node.reader.reads.splice(0)) {
      reads += 1
      // The first one fails: it is tried again in a later turn, and nothing is skipped.
      const { wakes } = node
      read.finish(reads === 1 ? new Error('EIO') : undefined)
      await eventsHandled()
      assert.equal(node.wakes, reads === 1 ? wakes : wakes + 1)
    }
    for (const { to, message, payload } of node.peers.sent.splice(0)) {
      if (to !== 'n2' || message.type !== 'append' || payload.length === 0) continue
      assert.equal(message.prevPosition, reached)
      reached = message.endPosition
      assert.ok(payload.equals(node.storage.file.subarray(message.prevPosition, reached)))
    }
    node.accept('n2', reached)
  }
  assert.ok(reads > 2)
  assert.match(node.log.join(), /cannot read the log for n2: EIO/)
})

test('a peer far behind is kept back while clients write, and goes on with the next tick', async () => {
  const node = new TestReplica()
  node.elect()
  node.replica.tick()
  while (node.replica.endPosition < 900 * 1024) {
    node.append(2000)
    node.settle()
  }
  node.replica.tick()
  let reached = 0
  const serve = async (): Promise<number> => {
    const before = reached
    for (let reads = 1; reads > 0; ) {
      node.accept('n2', reached)
      node.replica.endTurn()
      await eventsHandled()
      const under = node.reader.reads.splice(0)
      reads = under.length
      for (const { to, finish } of under) {
        reached = to
        finish()
      }
      await eventsHandled()
      node.peers.sent.length = 0
    }
    return reached - before
  }
  const first = await serve()
  assert.ok(first >= 400 * 1024 && first < 410 * 1024, `${first} bytes in a tick`)
  assert.equal(await serve(), 0)
  node.replica.tick()
  assert.ok((await serve()) > 0)
})

test('a read that ends in a later term is not sent', async () => {
  const node = new TestReplica()
  node.elect()
  while (node.replica.endPosition < 2 * ARENA_BYTES) {
    node.append(2000)
    node.settle()
  }
  node.accept('n2', 0)
  node.replica.endTurn()
  await eventsHandled()
  const [read] = node.reader.reads
  assert.ok(read !== undefined)
  leadAgain(node)
  node.peers.sent.length = 0
  read.finish()
  await eventsHandled()
  assert.deepEqual(node.peers.sent, [])
})

test('claims are refused by their cause', () => {
  const node = new TestReplica()
  node.elect()
  assert.equal(node.replica.claim(MAX_ENTRY_BYTES), ClaimRefusal.TOO_LARGE)
  node.settle(['n1', 'n2'])
  // Nobody answers: half an arena waits for its commit at most.
  while (node.replica.claim(1000) >= 0) {
    node.replica.seal()
    node.replica.endTurn()
    node.storage.run(node.replica)
  }
  assert.equal(node.replica.claim(1000), ClaimRefusal.BUSY)
  const waiting = node.replica.endPosition - node.replica.committedPosition
  assert.ok(Math.abs(waiting - ARENA_BYTES / 2) < 1100)
  node.accept('n1', node.replica.endPosition)
  assert.ok(node.replica.claim(1000) >= 0)
  node.replica.transfer('n2')
  assert.equal(node.replica.claim(1000), ClaimRefusal.HANDING_OVER)
})

test('what was taken back leaves no trace on disk, at peers or in the next entries', () => {
  const node = new TestReplica({ peerIds: [] })
  for (let ticks = 0; ticks < 5; ticks++) node.replica.tick()
  node.storage.run(node.replica)
  const kept: number[] = []
  for (let round = 0; round < 200; round++) {
    const before = node.replica.end
    // Up to the ends of segments and laps, where fillers and lap ends are taken back, too.
    for (let size = 0; size < 3000; size += 500 + round) node.append(size, 0xee)
    node.replica.takeBack(before)
    kept.push(node.append((round * 331) % 1500, 0x11))
    node.replica.endTurn()
    node.storage.run(node.replica)
    assert.equal(node.commits.at(-1), kept.at(-1))
  }
  const { endPosition } = node.storage.end
  assert.equal(endPosition, node.replica.endPosition)
  assert.ok(endPosition > 2 * ARENA_BYTES)
  assert.equal(node.storage.file.subarray(0, endPosition).indexOf(Buffer.alloc(16, 0xee)), -1)
})

test('ASYNC_FLUSH: memory counts for the commit, but readers see what is on the own disk', () => {
  const node = new TestReplica({ syncBeforeAck: false })
  node.elect()
  node.settle()
  const seen = node.commits.at(-1)
  const end = node.append(100)
  node.replica.endTurn()
  node.accept('n1', end)
  assert.equal(node.replica.committedPosition, end)
  assert.equal(node.commits.at(-1), seen)
  node.storage.run(node.replica)
  assert.equal(node.commits.at(-1), end)
})

test('with SYNC_FLUSH neither the own memory nor that of a follower counts', () => {
  const node = new TestReplica()
  node.elect()
  node.settle()
  const before = node.replica.committedPosition
  const end = node.append(100)
  node.replica.endTurn()
  node.accept('n1', before)
  assert.equal(node.replica.committedPosition, before)
  node.storage.run(node.replica)
  assert.equal(node.replica.committedPosition, before)
  node.accept('n1', end)
  assert.equal(node.replica.committedPosition, end)
})
