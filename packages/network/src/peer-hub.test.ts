import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { PeerHub, type PeerHubOptions } from './peer-hub.ts'

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

test('an Append arrives with its spans and log bytes, both ways', async (t) => {
  const { n0, n1 } = await startPair(t)
  const bytes = Buffer.alloc(100_000, 'entry ')
  const message = {
    type: 'append',
    from: 'n0',
    to: 'n1',
    term: 7,
    prevPosition: 4096,
    prevTerm: -1,
    endPosition: 104_096,
    lastIndex: 12,
    spans: [{ term: 7, firstPosition: 4096, firstIndex: 9 }],
    commitPosition: 2 ** 40,
    round: 3,
  }
  const arrived = once(n1.events, 'message')
  const pieces = [
    { buffer: bytes, offset: 0, sizeBytes: 60_000, position: 4096 },
    { buffer: bytes, offset: 60_000, sizeBytes: 40_000, position: 64_096 },
  ]
  assert.equal(n0.hub.send('n1', message, pieces), true)
  assert.equal(n0.hub.unflushedPosition('n1'), 4096)
  const [from, received, payload] = await arrived
  assert.equal(from, 'n0')
  assert.deepEqual(received, message)
  assert.ok(bytes.equals(payload))
  const reply = {
    type: 'appendReply',
    from: 'n1',
    to: 'n0',
    term: 7,
    accepted: true,
    matchPosition: 104_096,
    endPosition: 104_096,
    conflictTerm: -1,
    round: 3,
  }
  const replied = once(n0.events, 'message')
  n1.hub.send('n0', reply)
  assert.deepEqual((await replied)[1], reply)
  assert.equal(n0.hub.unflushedPosition('n1'), Number.POSITIVE_INFINITY)
})
