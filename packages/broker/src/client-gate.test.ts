import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '@ringledger/network'
import { encodeCommand, ResponseCode } from '@ringledger/protocol'
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { BrokerLink } from './broker-link.ts'
import { ClientGate } from './client-gate.ts'
import { FakeConnection } from './connection-fake.ts'
import { MAX_REQUEST_BYTES, PORT_RING_BYTES } from './core-port-frames.ts'
import type { SendFront } from './send-front.ts'
import { SendRelay } from './send-relay.ts'
import { type SubmitPort, Taken } from './submit-port.ts'

function setUp() {
  const toBroker = SpscRing.allocate(PORT_RING_BYTES)
  const link = new BrokerLink({
    fromBroker: new SpscRing(SpscRing.allocate(4096)),
    toBroker: new SpscRing(toBroker),
    brokerBell: new Doorbell(Doorbell.allocate()),
  })
  const state = { taken: Taken.FORWARD as Taken, retry: true, touched: 0 }
  const connections = new Map<number, Connection>()
  const gate = new ClientGate({
    link,
    front: { take: () => state.taken } as unknown as SendFront,
    port: { retry: () => state.retry } as unknown as SubmitPort,
    relay: new SendRelay({ connections, log: () => {} }),
    connections,
    touch: () => {
      state.touched += 1
    },
    log: () => {},
  })
  const client = new FakeConnection(5)
  gate.onOpen(client.connection)
  const atBroker = new SpscRing(toBroker)
  const brokerReads = (): number => {
    link.flush(false)
    return atBroker.drain(() => {})
  }
  return { gate, state, client, connections, brokerReads }
}

const request = encodeCommand({ code: 34, opaque: 9, body: Buffer.alloc(100_000) })

test('a frame without room stays with its connection until there is some, without spinning', () => {
  const { gate, client, brokerReads } = setUp()
  const offer = (): boolean => gate.onFrame(client.connection, request, 0, request.length)
  let taken = 0
  while (offer()) taken += 1
  assert.ok(taken > 10)
  for (let turns = 0; turns < 3; turns++) gate.flush()
  assert.equal(client.resumed, 0)
  brokerReads()
  gate.flush()
  assert.equal(client.resumed, 1)
  gate.flush()
  assert.equal(client.resumed, 1)
  assert.ok(offer())
})

test('a send that has no room waits for the port, not for the broker thread', () => {
  const { gate, state, client } = setUp()
  state.taken = Taken.LATER
  state.retry = false
  assert.equal(gate.onFrame(client.connection, request, 0, request.length), false)
  gate.flush()
  assert.equal(client.resumed, 0)
  state.retry = true
  gate.flush()
  assert.equal(client.resumed, 1)
})

test('a frame over the limit is refused and the connection lives', () => {
  const { gate, client, brokerReads } = setUp()
  brokerReads()
  const body = Buffer.alloc(MAX_REQUEST_BYTES)
  const large = encodeCommand({ code: 34, opaque: 9, body })
  assert.ok(gate.onFrame(client.connection, large, 0, large.length))
  assert.equal(client.outbox.frames[0]?.code, ResponseCode.MESSAGE_ILLEGAL)
  assert.equal(client.closeReason, '')
  assert.equal(brokerReads(), 0)
})

test('connections that the broker thread cannot be told of are closed, and it hears nothing', () => {
  const { gate, connections, brokerReads } = setUp()
  let id = 6
  for (;;) {
    const next = new FakeConnection(id)
    gate.onOpen(next.connection)
    if (next.closeReason !== '') {
      gate.onClose(next.connection)
      break
    }
    id += 1
  }
  assert.ok(!connections.has(id))
  const announced = connections.size
  assert.equal(brokerReads(), announced)
  const other = new FakeConnection(id + 1)
  gate.onOpen(other.connection)
  assert.equal(other.closeReason, '')
})
