import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { PeerBatch } from './peer-batch.ts'
import { encodePacked } from './peer-codec.ts'
import { PEER_HEADER_BYTES, PeerFrameType, writePeerHeader } from './peer-frame.ts'
import { PEER_PROTOCOL_VERSION } from './peer-hello.ts'
import { PeerHub, type PeerHubOptions } from './peer-hub.ts'
import { dial } from './testing.ts'

/** A hub that tells what happens to it as events. */
interface Node {
  readonly hub: PeerHub
  readonly events: EventEmitter
  readonly lines: string[]
}

async function startNode(
  t: TestContext,
  selfId: string,
  options: Partial<PeerHubOptions> = {},
): Promise<Node> {
  const events = new EventEmitter()
  const lines: string[] = []
  const hub = new PeerHub(
    {
      selfId,
      group: 'g',
      segmentBytes: 1024,
      maxEntryBytes: 512,
      host: '127.0.0.1',
      port: 0,
      peers: [],
      log: (_level, line) => {
        lines.push(line)
        events.emit('line', line)
      },
      ...options,
    },
    {
      onMessage: (from, message, payload, start, end) =>
        events.emit('message', from, message, Buffer.from(payload.subarray(start, end))),
      onConnected: (id) => events.emit('connected', id),
      onDisconnected: (id) => events.emit('disconnected', id),
      onFlushed: (id) => events.emit('flushed', id),
    },
  )
  await hub.listen()
  t.after(() => hub.close())
  return { hub, events, lines }
}

async function startPair(
  t: TestContext,
  low: Partial<PeerHubOptions> = {},
  high: Partial<PeerHubOptions> = {},
): Promise<{ n0: Node; n1: Node }> {
  const n0 = await startNode(t, 'n0', { peers: [{ id: 'n1', host: '127.0.0.1', port: 1 }], ...low })
  const connected = once(n0.events, 'connected')
  const n1 = await startNode(t, 'n1', {
    peers: [{ id: 'n0', host: '127.0.0.1', port: n0.hub.port }],
    ...high,
  })
  const alsoConnected = once(n1.events, 'connected')
  await Promise.all([connected, alsoConnected])
  return { n0, n1 }
}

/** A HELLO frame as a node of group g would send it. */
function helloOf(fields: { selfId: string; targetId: string }): Buffer {
  const batch = new PeerBatch()
  const sizes = { segmentBytes: 1024, maxEntryBytes: 512 }
  const hello = { version: PEER_PROTOCOL_VERSION, group: 'g', ...sizes, ...fields }
  encodePacked(batch, PeerFrameType.hello, hello, 0)
  return Buffer.from(batch.head.subarray(0, batch.sizeBytes))
}

const APPEND = {
  type: 'append',
  from: 'n0',
  to: 'n1',
  term: 7,
  prevPosition: 4096,
  prevTerm: -1,
  endPosition: 104_096,
  lastIndex: 12,
  spans: [
    { term: 6, firstPosition: 0, firstIndex: 0 },
    { term: 7, firstPosition: 4096, firstIndex: 9 },
  ],
  commitPosition: 2 ** 40,
  round: 3,
}

const REPLY = {
  type: 'appendReply',
  from: 'n1',
  to: 'n0',
  term: 7,
  accepted: true,
  matchPosition: 104_096,
  endPosition: 104_096,
  conflictTerm: -1,
  round: 3,
  diskFull: true,
}

/** Waits until a link holds no pieces any more. */
async function flushed({ hub, events }: Node, id: string): Promise<void> {
  while (hub.unflushedPosition(id) !== Number.POSITIVE_INFINITY) await once(events, 'flushed')
}

/** Waits for a log line that was or will be written. */
async function lineLike(node: Node, expected: RegExp): Promise<void> {
  while (!node.lines.some((line) => expected.test(line))) await once(node.events, 'line')
}

test('an Append arrives with its spans and log bytes, and its reply comes back', async (t) => {
  const { n0, n1 } = await startPair(t)
  const bytes = Buffer.alloc(100_000, 'entry ')
  const arrived = once(n1.events, 'message')
  const pieces = [
    { buffer: bytes, offset: 0, sizeBytes: 60_000, position: 4096 },
    { buffer: bytes, offset: 60_000, sizeBytes: 40_000, position: 64_096 },
  ]
  assert.equal(n0.hub.send('n1', APPEND, pieces), true)
  assert.equal(n0.hub.unflushedPosition('n1'), 4096)
  assert.equal(n0.hub.unflushedPosition(), 4096)
  assert.ok(n0.hub.queuedBytes('n1') > 100_000)
  const [from, received, payload] = await arrived
  assert.equal(from, 'n0')
  assert.deepEqual(received, APPEND)
  assert.ok(bytes.equals(payload))
  const replied = once(n0.events, 'message')
  n1.hub.send('n0', REPLY)
  assert.deepEqual((await replied)[1], REPLY)
  await flushed(n0, 'n1')
  assert.equal(n0.hub.queuedBytes('n1'), 0)
})

test('control messages and unusual ones keep their fields, and the names are those of the link', async (t) => {
  const { n0, n1 } = await startPair(t)
  const messages = [
    { type: 'preVote', from: 'n0', to: 'n1', term: 3, nextTerm: 4, lastTerm: -1, endPosition: 0 },
    { type: 'voteReply', from: 'n0', to: 'n1', term: 3, granted: false, reason: 'logBehind' },
    { ...APPEND, term: 2 ** 40, spans: [] },
    { ...REPLY, from: 'n0', to: 'n1', term: 2 ** 33, accepted: false },
  ]
  const seen: unknown[] = []
  const all = new Promise<void>((resolve) => {
    n1.events.on('message', (from, message) => {
      assert.equal(from, 'n0')
      seen.push(message)
      if (seen.length === messages.length) resolve()
    })
  })
  for (const message of messages) n0.hub.send('n1', { ...message, from: 'forged', to: 'forged' })
  await all
  assert.deepEqual(seen, messages)
})

test('many batches in flight arrive in order and unchanged, and their pieces are let go', async (t) => {
  const { n0, n1 } = await startPair(t, { maxQueuedBytes: 256 * 1024 * 1024 })
  const bytes = Buffer.alloc(1_000_000)
  for (let index = 0; index < bytes.length; index++) bytes[index] = index * 7
  const count = 60
  let arrived = 0
  const all = new Promise<void>((resolve) => {
    n1.events.on('message', (_from, message, payload: Buffer) => {
      assert.equal(message.round, arrived)
      const sizeBytes = 1000 * (arrived % 2 === 0 ? 1 : 900)
      assert.ok(bytes.subarray(arrived, arrived + sizeBytes).equals(payload))
      if (++arrived === count) resolve()
    })
  })
  for (let round = 0; round < count; round++) {
    const sizeBytes = 1000 * (round % 2 === 0 ? 1 : 900)
    const piece = { buffer: bytes, offset: round, sizeBytes, position: round * 1000 }
    const message = { ...APPEND, round }
    assert.ok(n0.hub.send('n1', message, [piece]))
  }
  // Pieces of 1000 bytes are copied: the lowest one held is that of round 1.
  assert.equal(n0.hub.unflushedPosition('n1'), 1000)
  await all
  await flushed(n0, 'n1')
})

test('pieces that are not pinned are sent and never counted as held', async (t) => {
  const { n0, n1 } = await startPair(t)
  const arrived = once(n1.events, 'message')
  const buffer = Buffer.alloc(50_000, 3)
  n0.hub.send('n1', APPEND, [{ buffer, offset: 0, sizeBytes: 50_000, position: 10, pinned: false }])
  assert.equal(n0.hub.unflushedPosition('n1'), Number.POSITIVE_INFINITY)
  assert.ok(buffer.equals((await arrived)[2]))
})

test('a full queue refuses, and a dropped link lets go of its pieces at once', async (t) => {
  const { n0, n1 } = await startPair(t, { maxQueuedBytes: 1_000_000 })
  const buffer = Buffer.alloc(600_000)
  const piece = { buffer, offset: 0, sizeBytes: 600_000, position: 77 }
  assert.equal(n0.hub.send('n1', APPEND, [piece]), true)
  assert.equal(n0.hub.send('n1', APPEND, [piece]), false)
  assert.equal(n0.hub.send('n1', REPLY), true)
  assert.equal(n0.hub.unflushedPosition('n1'), 77)
  const told = once(n0.events, 'disconnected')
  const again = once(n1.events, 'connected')
  n0.hub.drop('n1', 'test')
  assert.equal(n0.hub.unflushedPosition('n1'), Number.POSITIVE_INFINITY)
  assert.equal(n0.hub.queuedBytes('n1'), 0)
  assert.equal(n0.hub.isConnected('n1'), false)
  assert.equal(n0.hub.send('n1', REPLY), false)
  assert.deepEqual(await told, ['n1'])
  await again
})

test('a stopped node is noticed, and found again when it is back on its port', async (t) => {
  const { n0, n1 } = await startPair(t)
  const { port } = n0.hub
  const lost = once(n1.events, 'disconnected')
  await n0.hub.close()
  assert.deepEqual(await lost, ['n0'])
  assert.equal(n1.hub.send('n0', REPLY), false)
  const found = once(n1.events, 'connected')
  const back = await startNode(t, 'n0', { port, peers: [{ id: 'n1', host: '127.0.0.1', port: 1 }] })
  assert.deepEqual(await found, ['n0'])
  const arrived = once(back.events, 'message')
  n1.hub.send('n0', REPLY)
  assert.deepEqual((await arrived)[1], REPLY)
})

test('a newer connection of the same peer replaces the older one', async (t) => {
  const { n0, n1 } = await startPair(t)
  const order: string[] = []
  n0.events.on('connected', () => order.push('connected'))
  n0.events.on('disconnected', () => order.push('disconnected'))
  const older = once(n1.events, 'disconnected')
  const twice = once(n0.events, 'connected')
  const twin = await startNode(t, 'n1', {
    peers: [{ id: 'n0', host: '127.0.0.1', port: n0.hub.port }],
    refusedBackoffMs: 60_000,
  })
  await twice
  assert.deepEqual(order, ['disconnected', 'connected'])
  await older
  assert.match(n0.lines.join('\n'), /connected anew/)
  assert.equal(n0.hub.isConnected('n1'), true)
  await twin.hub.close()
})

const MISMATCHES: [string, Partial<PeerHubOptions>, RegExp, RegExp][] = [
  ['group', { group: 'other' }, /to group other, this node to g/, /to group g, this node to other/],
  [
    'segment size',
    { segmentBytes: 4096 },
    /have 4096 bytes, ours 1024/,
    /have 1024 bytes, ours 4096/,
  ],
  [
    'longest entry',
    { maxEntryBytes: 256 },
    /may have 256 bytes, ours 512: set the same maxMessageSize/,
    /may have 512 bytes, ours 256: set the same maxMessageSize/,
  ],
  ['id than the listed ones', { selfId: 'n9' }, /n9 is not among/, /refuses this node: n9 is not/],
]
for (const [what, options, expected, expectedThere] of MISMATCHES) {
  test(`another ${what} is refused, and both sides say why`, async (t) => {
    const n0 = await startNode(t, 'n0', { peers: [{ id: 'n1', host: '127.0.0.1', port: 1 }] })
    const n1 = await startNode(t, 'n1', {
      peers: [{ id: 'n0', host: '127.0.0.1', port: n0.hub.port }],
      refusedBackoffMs: 60_000,
      ...options,
    })
    await Promise.all([lineLike(n0, expected), lineLike(n1, expectedThere)])
    assert.equal(n0.hub.isConnected('n1'), false)
    assert.equal(n1.hub.isConnected('n0'), false)
  })
}

test('a node that answers under another id is refused by the dialler', async (t) => {
  const n0 = await startNode(t, 'n0', { peers: [{ id: 'n2', host: '127.0.0.1', port: 1 }] })
  const n2 = await startNode(t, 'n2', {
    peers: [{ id: 'n1', host: '127.0.0.1', port: n0.hub.port }],
    refusedBackoffMs: 60_000,
  })
  await lineLike(n2, /it is n0 where n1 should be/)
})

/** A header alone, of a frame that announces `bodyBytes`. */
function headerOf(type: number, bodyBytes: number): Buffer {
  const bytes = Buffer.alloc(PEER_HEADER_BYTES)
  writePeerHeader(bytes, 0, type, bodyBytes, 0)
  return bytes
}

const STRANGERS: [string, Buffer, RegExp][] = [
  ['Apache DLedger', Buffer.from([0, 0, 1, 2, 0, 0, 0, 80]), /Apache DLedger/],
  ['TLS', Buffer.from([0x16, 3, 1, 2]), /TLS/],
  ['garbage', Buffer.from('RATS'.padEnd(64)), /no peer frame/],
  ['a message before its HELLO', headerOf(PeerFrameType.appendReply, 0), /no peer frame/],
  ['an endless HELLO', headerOf(PeerFrameType.hello, 100_000), /no peer frame/],
  ['an empty HELLO', headerOf(PeerFrameType.hello, 0), /MessagePack|lacks fields/],
  ['silence', Buffer.from('R'), /silent/],
]
for (const [what, bytes, expected] of STRANGERS) {
  test(`a stranger with ${what} is closed with one line`, async (t) => {
    const n0 = await startNode(t, 'n0', { silenceMs: 200 })
    const said = once(n0.events, 'line')
    const socket = await dial(t, n0.hub.port)
    const closed = once(socket.resume(), 'close')
    socket.write(bytes)
    await Promise.all([said, closed])
    assert.equal(n0.lines.length, 1)
    assert.match(n0.lines[0]!, expected)
  })
}

test('silent strangers keep no peer out', async (t) => {
  const n0 = await startNode(t, 'n0', { peers: [{ id: 'n1', host: '127.0.0.1', port: 1 }] })
  const silent = await Promise.all(Array.from({ length: 40 }, () => dial(t, n0.hub.port)))
  const connected = once(n0.events, 'connected')
  const peer = await dial(t, n0.hub.port)
  peer.resume()
  peer.write(helloOf({ selfId: 'n1', targetId: 'n0' }))
  assert.deepEqual(await connected, ['n1'])
  for (const socket of silent) socket.destroy()
})

test('a peer that falls silent without closing is dropped, one that only pings stays', async (t) => {
  const { n0, n1 } = await startPair(t, { silenceMs: 200 }, { silenceMs: 200 })
  const hello = helloOf({ selfId: 'n5', targetId: 'n0' })
  const other = await startNode(t, 'n0', {
    peers: [{ id: 'n5', host: '127.0.0.1', port: 1 }],
    silenceMs: 200,
  })
  const connected = once(other.events, 'connected')
  const lost = once(other.events, 'disconnected')
  const socket = await dial(t, other.hub.port)
  socket.resume()
  socket.write(hello)
  await connected
  assert.deepEqual(await lost, ['n5'])
  assert.equal(n0.hub.isConnected('n1'), true)
  assert.equal(n1.hub.isConnected('n0'), true)
})

test('property: damaged frames after HELLO never reach the handler wrongly typed and never throw', async (t) => {
  const node = await startNode(t, 'n0', { peers: [{ id: 'n5', host: '127.0.0.1', port: 1 }] })
  const good = Buffer.alloc(PEER_HEADER_BYTES)
  writePeerHeader(good, 0, PeerFrameType.appendReply, 0, 0)
  node.events.on('message', (_from, message) => {
    assert.ok(typeof message.type === 'string' && Number.isSafeInteger(message.term))
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 4, max: 63 }), fc.nat(255)), {
        minLength: 1,
        maxLength: 8,
      }),
      async (changes) => {
        const socket = await dial(t, node.hub.port)
        const closed = once(socket.resume(), 'close')
        const bytes = Buffer.from(good)
        for (const [at, value] of changes) bytes[at] = value
        socket.write(helloOf({ selfId: 'n5', targetId: 'n0' }))
        socket.end(bytes)
        await closed
      },
    ),
    { numRuns: 60 },
  )
})
