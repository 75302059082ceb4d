import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import type { PeerMessage } from './peer-codec.ts'
import { type FakePeerHub, FakePeerNetwork } from './peer-hub-fake.ts'

interface Node {
  readonly hub: FakePeerHub
  readonly seen: string[]
}

function nodesOf(network: FakePeerNetwork, ...ids: string[]): Record<string, Node> {
  const nodes: Record<string, Node> = {}
  for (const id of ids) {
    const seen: string[] = []
    const hub = network.join(id, {
      onMessage: (from, message, payload, start, end) =>
        seen.push(`${from}:${message.type}:${payload.toString('latin1', start, end)}`),
      onConnected: (other) => seen.push(`+${other}`),
      onDisconnected: (other) => seen.push(`-${other}`),
    })
    nodes[id] = { hub, seen }
  }
  return nodes
}

function message(type: string): PeerMessage {
  return { type, from: 'a', to: 'b', term: 1 }
}

test('messages arrive when the clock moves, with a copy of their bytes', () => {
  const network = new FakePeerNetwork(seededRandom(1))
  const { a, b } = nodesOf(network, 'a', 'b')
  assert.equal(a!.hub.send('b', message('early')), false)
  network.advance(0)
  network.behaviour.minDelayMs = network.behaviour.maxDelayMs = 5
  const bytes = Buffer.from('log bytes')
  assert.ok(
    a!.hub.send('b', message('append'), [
      { buffer: bytes, offset: 0, sizeBytes: 4, position: 0 },
      { buffer: bytes, offset: 4, sizeBytes: 5, position: 4 },
    ]),
  )
  bytes.fill(0)
  assert.equal(network.advance(4), 0)
  assert.equal(network.advance(1), 1)
  assert.deepEqual(b!.seen, ['+a', 'a:append:log bytes'])
})

test('a partition takes what is under way, and healing is a new connection', () => {
  const network = new FakePeerNetwork(seededRandom(1))
  const { a, b } = nodesOf(network, 'a', 'b')
  network.advance(0)
  a!.hub.send('b', message('lost'))
  network.partition('a', 'b')
  assert.equal(a!.hub.send('b', message('refused')), false)
  network.heal('a', 'b')
  a!.hub.send('b', message('after'))
  network.advance(1)
  assert.deepEqual(b!.seen, ['+a', '-a', '+a', 'a:after:'])
  network.partition('a', 'b', true)
  assert.equal(a!.hub.send('b', message('vanishes')), true)
  network.advance(1)
  assert.equal(b!.seen.length, 4)
  network.leave('a')
  assert.equal(b!.seen.at(-1), '-a')
})

test('losses and repetitions follow the seed', () => {
  const runs = [7, 7, 8].map((seed) => {
    const network = new FakePeerNetwork(seededRandom(seed))
    const { a, b } = nodesOf(network, 'a', 'b')
    network.advance(0)
    Object.assign(network.behaviour, { lossRate: 0.3, duplicateRate: 0.3, maxDelayMs: 10 })
    for (let count = 0; count < 200; count++) a!.hub.send('b', message(`m${count}`))
    network.advance(20)
    assert.equal(network.underWay, 0)
    return b!.seen
  })
  assert.deepEqual(runs[0], runs[1])
  assert.notDeepEqual(runs[0], runs[2])
  assert.ok(runs[0]!.length > 100 && runs[0]!.length < 260)
})
