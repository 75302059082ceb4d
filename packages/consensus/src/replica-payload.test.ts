import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Append } from './core/index.ts'
import {
  ARENA_BYTES,
  MAX_ENTRY_BYTES,
  OtherLog,
  SEGMENT_BYTES,
  TestReplica,
} from './replica-fake.ts'

interface Refused {
  readonly name: string
  readonly reason: RegExp
  /** What comes instead of the second entry, behind the first, which the node has. */
  spoil(message: Append, bytes: Buffer): { message: Append; bytes: Buffer }
}

const REFUSED: readonly Refused[] = [
  {
    name: 'a flipped bit in a body',
    reason: /bodyCrc/,
    spoil: (message, bytes) => {
      bytes.writeUInt8(bytes.readUInt8(60) ^ 1, 60)
      return { message, bytes }
    },
  },
  {
    name: 'an index that does not follow',
    reason: /chainCrc/,
    spoil: (message, bytes) => {
      bytes.writeUInt8(77, 15)
      return { message, bytes }
    },
  },
  {
    name: 'bytes that end within an entry',
    reason: /short/,
    spoil: (message, bytes) => ({ message, bytes: bytes.subarray(0, bytes.length - 1) }),
  },
  {
    name: 'zeros',
    reason: /unused/,
    spoil: (message, bytes) => ({ message, bytes: Buffer.alloc(bytes.length) }),
  },
  {
    name: 'another end than announced',
    reason: /disagree/,
    spoil: (message, bytes) => ({
      message: { ...message, endPosition: message.endPosition + 8 },
      bytes,
    }),
  },
  {
    name: 'another term than announced',
    reason: /disagree/,
    spoil: (message, bytes) => ({
      message: { ...message, spans: message.spans.map((span) => ({ ...span, term: 2 })) },
      bytes,
    }),
  },
  {
    name: 'another last index than announced',
    reason: /disagree/,
    spoil: (message, bytes) => ({ message: { ...message, lastIndex: 9 }, bytes }),
  },
  {
    name: 'entries announced, none there',
    reason: /disagree/,
    spoil: (message) => ({ message, bytes: Buffer.alloc(0) }),
  },
  {
    name: 'entries there, none announced',
    reason: /disagree/,
    spoil: (message, bytes) => ({
      message: { ...message, endPosition: message.prevPosition, lastIndex: -1, spans: [] },
      bytes,
    }),
  },
]

for (const { name, reason, spoil } of REFUSED) {
  test(`a payload is refused as a whole: ${name}`, () => {
    const node = new TestReplica()
    const other = new OtherLog()
    const first = other.append(3, 100)
    other.append(3, 200)
    other.send(node, 'n1', 3, 0, first)
    const before = node.replica.raft.status()
    const good = other.message('n1', 3, first, other.end)
    const { message, bytes } = spoil(good, other.bytes(first, other.end))
    node.receive(message, bytes)
    assert.match(node.log.at(-1) ?? '', reason)
    assert.deepEqual(
      node.peers.dropped.map(({ id }) => id),
      ['n1'],
    )
    assert.deepEqual(node.replica.raft.status(), before)
    assert.equal(node.replica.endPosition, first)
    // The next good one is taken.
    other.stream(node, 'n1', 3)
    assert.equal(node.storage.end.endPosition, other.end)
  })
}

test('entries that are refused again and again cost one line in a while, with a count', () => {
  const node = new TestReplica()
  const other = new OtherLog()
  const end = other.append(3, 100)
  const refuse = (): void => node.receive(other.message('n1', 3, 0, end), Buffer.alloc(end))
  const lines = (): string[] => node.log.filter((line) => line.startsWith('refused entries'))
  for (let times = 0; times < 5; times++) refuse()
  assert.equal(lines().length, 1)
  for (let ticks = 0; ticks < 400; ticks++) node.replica.tick()
  refuse()
  assert.equal(lines().length, 2)
  assert.match(lines().at(-1) ?? '', /\(5 times since it was last said\)$/)
})

test('an entry or a filler longer than this node takes is refused, not copied', () => {
  const node = new TestReplica()
  const other = new OtherLog(2 * MAX_ENTRY_BYTES)
  const first = other.append(3, 100)
  other.append(3, MAX_ENTRY_BYTES)
  other.send(node, 'n1', 3, first - first, first)
  other.send(node, 'n1', 3, first, other.end)
  assert.match(node.log.at(-1) ?? '', /longer than this node takes/)
  assert.equal(node.replica.endPosition, first)
  const filler = new OtherLog(2 * MAX_ENTRY_BYTES)
  while (filler.end < SEGMENT_BYTES - MAX_ENTRY_BYTES - 600) filler.append(3, 300)
  const { end } = filler
  filler.append(3, MAX_ENTRY_BYTES + 600)
  const far = new TestReplica()
  filler.send(far, 'n1', 3, 0, end)
  filler.send(far, 'n1', 3, end, filler.end)
  assert.match(far.log.at(-1) ?? '', /longer than this node takes/)
  assert.equal(far.replica.endPosition, end)
})

test('runs over laps and fillers are copied to the byte, whatever their cut', () => {
  const other = new OtherLog()
  const ends = [0]
  for (let at = 0; other.end < 6 * ARENA_BYTES; at++) ends.push(other.append(1, (at * 911) % 3500))
  for (const step of [1, 2, 3, 5]) {
    const node = new TestReplica()
    for (let at = 0; at + 1 < ends.length; at += step) {
      // Each run begins one entry early, as after a lost answer.
      const from = ends[Math.max(0, at - 1)] as number
      const to = ends[Math.min(at + step, ends.length - 1)] as number
      other.send(node, 'n1', 1, from, to)
      node.replica.endTurn()
      node.storage.run(node.replica)
    }
    assert.equal(node.storage.end.endPosition, other.end)
    assert.ok(node.storage.file.subarray(0, other.end).equals(other.bytes(0, other.end)))
  }
})

test('a follower whose disk is behind takes no more than half an arena, and goes on later', () => {
  const node = new TestReplica()
  const other = new OtherLog()
  while (other.end < 2 * ARENA_BYTES) {
    const { end } = other
    other.append(1, 1000)
    if (node.replica.endPosition === end) other.send(node, 'n1', 1, end, other.end)
    node.replica.endTurn()
  }
  assert.ok(node.replica.endPosition <= ARENA_BYTES / 2)
  assert.ok(node.replica.endPosition > ARENA_BYTES / 2 - 1100)
  node.storage.run(node.replica)
  other.stream(node, 'n1', 1)
  assert.equal(node.storage.end.endPosition, other.end)
})

test('no acknowledgement speaks of bytes that a cut under way takes away', () => {
  const node = new TestReplica()
  const older = new OtherLog()
  const shared = older.append(3, 100)
  older.append(4, 200)
  older.append(4, 200)
  const newer = new OtherLog()
  newer.append(3, 100)
  newer.append(5, 700)
  older.send(node, 'n1', 4, 0, older.end)
  node.replica.endTurn()
  // The write is with the IO worker when the cut is ordered.
  newer.send(node, 'n2', 5, shared, newer.end)
  node.replica.endTurn()
  assert.deepEqual(
    node.storage.work.map(({ kind }) => kind),
    ['persist', 'write', 'truncate', 'persist'],
  )
  const laid = Buffer.from(node.arena.bytes.subarray(0, older.end))
  // Until the cut is done nothing is laid over what is being written.
  newer.send(node, 'n2', 5, shared, newer.end)
  node.storage.run(node.replica, 2)
  assert.ok(laid.equals(node.arena.bytes.subarray(0, older.end)))
  assert.equal(node.storage.end.endPosition, older.end)
  node.peers.sent.length = 0
  node.storage.run(node.replica)
  const replies = node.peers.take('appendReply').map(({ message }) => message)
  assert.ok(replies.length > 0)
  for (const reply of replies) {
    assert.ok(reply.type === 'appendReply' && reply.matchPosition <= shared)
  }
  newer.stream(node, 'n2', 5)
  assert.equal(node.storage.end.endPosition, newer.end)
  assert.ok(node.storage.file.subarray(0, newer.end).equals(newer.bytes(0, newer.end)))
})
