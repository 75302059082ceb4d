import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { type BrokerCommands, BrokerLink } from './broker-link.ts'
import { RingCorePort } from './core-port.ts'
import type { AppendResult, CoreEvents, PublishedTopic } from './core-port-api.ts'
import { MAX_REQUEST_BYTES, PORT_RING_BYTES } from './core-port-frames.ts'

interface Pair {
  link: BrokerLink
  port: RingCorePort
}

function connect(ringBytes = PORT_RING_BYTES, closed = (): boolean => false): Pair {
  const toBroker = SpscRing.allocate(ringBytes)
  const toCore = SpscRing.allocate(ringBytes)
  const coreBell = new Doorbell(Doorbell.allocate())
  const brokerBell = new Doorbell(Doorbell.allocate())
  return {
    link: new BrokerLink({
      fromBroker: new SpscRing(toCore),
      toBroker: new SpscRing(toBroker),
      brokerBell,
    }),
    port: new RingCorePort({
      core: {
        toBroker: new SpscRing(toBroker),
        fromBroker: new SpscRing(toCore),
        bell: coreBell,
      },
      fronts: [],
      ownBell: brokerBell,
      closed,
    }),
  }
}

/** Records what the core thread is told to do. */
class Recorder implements BrokerCommands {
  readonly answers: [number, string][] = []
  readonly appends: [number, number, string][] = []
  readonly topics: PublishedTopic[] = []
  readonly log: string[] = []
  onAnswer(connectionId: number, bytes: Buffer, start: number, end: number): void {
    this.answers.push([connectionId, bytes.toString('hex', start, end)])
  }
  onAppend(sequence: number, slot: number, bytes: Buffer, start: number, end: number): void {
    this.appends.push([sequence, slot, bytes.toString('hex', start, end)])
  }
  onTopic(entry: PublishedTopic): void {
    this.topics.push(entry)
  }
  onRemoveTopic(topic: string): void {
    this.log.push(`remove ${topic}`)
  }
  onQueueOffset(slot: number, next: number): void {
    this.log.push(`slot ${slot} ${next}`)
  }
  onServing(term: number): void {
    this.log.push(`serving ${term}`)
  }
  onCloseRequest(connectionId: number): void {
    this.log.push(`close ${connectionId}`)
  }
  onRelay(address: string): void {
    this.log.push(`relay to ${address}`)
  }
  onTransfer(brokerId: number): void {
    this.log.push(`transfer to ${brokerId}`)
  }
  onTrim(position: number): void {
    this.log.push(`trim below ${position}`)
  }
}

function eventsInto(requests: [number, string][], log: string[]): CoreEvents {
  return {
    onRequest: (id, frame, start, end) => requests.push([id, frame.toString('hex', start, end)]),
    onConnected: (id, address, host) => log.push(`open ${id} ${address} ${host.toString('hex')}`),
    onClosed: (id) => log.push(`closed ${id}`),
    onRole: (role, term, leaderId, barrierEnd) =>
      log.push(`${role} ${term} ${leaderId} ${barrierEnd}`),
    onTransferEnded: (done, reason) => log.push(`transfer ${done} ${reason}`),
  }
}

test('requests, answers and appends of any size arrive whole and in order', () => {
  const item = fc.record({
    id: fc.nat(1000),
    sizeBytes: fc.integer({ min: 1, max: 400_000 }),
    fill: fc.nat(255),
  })
  fc.assert(
    fc.property(fc.array(item, { minLength: 1, maxLength: 6 }), (items) => {
      const { link, port } = connect()
      const buffers = items.map(({ sizeBytes, fill }) => Buffer.alloc(sizeBytes, fill))
      items.forEach(({ id }, at) => {
        const buffer = buffers[at] as Buffer
        assert.ok(link.request(id, buffer, 0, buffer.length))
        port.send(id, buffer)
        assert.ok(port.append(at - 1, buffer, () => {}))
      })
      link.flush(false)
      port.flush()
      const requests: [number, string][] = []
      port.poll(eventsInto(requests, []))
      const recorder = new Recorder()
      link.drain(recorder)
      const expected = items.map(({ id }, at) => [id, (buffers[at] as Buffer).toString('hex')])
      assert.deepEqual(requests, expected)
      assert.deepEqual(recorder.answers, expected)
      assert.deepEqual(
        recorder.appends,
        items.map((_, at) => [at + 1, at - 1, (buffers[at] as Buffer).toString('hex')]),
      )
    }),
    { numRuns: 40 },
  )
})

test('an append learns its place, or why it has none', () => {
  const { link, port } = connect()
  const results: AppendResult[] = []
  for (let at = 0; at < 2; at++) port.append(7, Buffer.from('message'), (r) => results.push(r))
  port.flush()
  const recorder = new Recorder()
  link.drain(recorder)
  link.appended(1, 4096, 12, 1_700_000_000_000, 5000)
  link.appendFailed(2, 'LEADERSHIP_LOST')
  link.flush(false)
  port.poll(eventsInto([], []))
  assert.deepEqual(results, [
    {
      ok: true,
      physicalOffset: 4096,
      queueOffset: 12,
      storeTimestampMs: 1_700_000_000_000,
      endPosition: 5000,
    },
    { ok: false, code: 'LEADERSHIP_LOST' },
  ])
})

test('connections, roles, topics and queue offsets pass the seam', () => {
  const { link, port } = connect()
  link.connected(3, '10.0.0.9:4711', Buffer.from('0a00000900001267', 'hex'))
  link.role('leader', 5, 'n1', 123_456)
  link.transferEnded(false, 'it is too far behind')
  link.closed(3)
  link.flush(false)
  const log: string[] = []
  port.poll(eventsInto([], log))
  assert.deepEqual(log, [
    'open 3 10.0.0.9:4711 0a00000900001267',
    'leader 5 n1 123456',
    'transfer false it is too far behind',
    'closed 3',
  ])
  const topic = {
    topic: 'T',
    queueSlotBase: 8,
    queueCount: 4,
    readQueueNums: 4,
    writeQueueNums: 4,
    perm: 6,
    fast: true,
  }
  port.publishTopic(topic)
  port.serving(5, [
    [8, 100],
    [9, 7],
  ])
  port.removeTopic('T')
  port.close(3)
  port.transfer(2)
  port.relayTo('10.0.0.1:10911')
  port.flush()
  const recorder = new Recorder()
  link.drain(recorder)
  assert.deepEqual(recorder.topics, [topic])
  assert.deepEqual(recorder.log, [
    'slot 8 100',
    'slot 9 7',
    'serving 5',
    'remove T',
    'close 3',
    'transfer to 2',
    'relay to 10.0.0.1:10911',
  ])
})

test('with network workers each client hears from the worker that has its connection', () => {
  const bell = new Doorbell(Doorbell.allocate())
  const rings = (): { toBroker: SpscRing; fromBroker: SpscRing; bell: Doorbell } => ({
    toBroker: new SpscRing(SpscRing.allocate(PORT_RING_BYTES)),
    fromBroker: new SpscRing(SpscRing.allocate(PORT_RING_BYTES)),
    bell,
  })
  const [core, ...fronts] = [rings(), rings(), rings(), rings()]
  assert.ok(core !== undefined)
  const port = new RingCorePort({ core, fronts, ownBell: bell })
  const links = [core, ...fronts].map(
    ({ toBroker, fromBroker }) => new BrokerLink({ toBroker, fromBroker, brokerBell: bell }),
  )
  const small = Buffer.from('answer')
  const large = Buffer.alloc(300_000, 1)
  for (const id of [3, 4, 5, 6]) port.send(id, small)
  port.close(7)
  const claim = port.claimAnswer(5, large.length)
  large.copy(claim.bytes, claim.offset)
  port.commitAnswer()
  port.append(2, small, () => {})
  port.serving(3, [[1, 5]])
  port.removeTopic('T')
  port.flush()
  for (const [at, link] of links.entries()) link.connected(at + 2, '10.0.0.9:1', Buffer.alloc(8))
  for (const link of links) link.flush(false)
  const log: string[] = []
  port.poll(eventsInto([], log))
  assert.equal(log.length, 4)
  const heard = links.map((link) => {
    const recorder = new Recorder()
    link.drain(recorder)
    const answers = recorder.answers.map(([id, hex]) => `${id}: ${hex.length / 2}`)
    return [...answers, ...recorder.log, ...recorder.appends.map(([, slot]) => `append ${slot}`)]
  })
  assert.deepEqual(heard, [
    ['slot 1 5', 'serving 3', 'remove T', 'append 2'],
    ['3: 6', '6: 6', 'remove T'],
    ['4: 6', 'close 7', 'remove T'],
    ['5: 6', '5: 300000', 'remove T'],
  ])
})

test('a request that had no room is wanted again once there is some', () => {
  const { link, port } = connect()
  const largest = Buffer.alloc(MAX_REQUEST_BYTES, 1)
  assert.ok(link.request(1, largest, 0, largest.length), 'the largest fits an empty ring')
  assert.ok(link.retry())
  assert.equal(link.request(1, largest, 0, largest.length), false)
  assert.equal(link.request(1, largest, 0, 1024), true)
  assert.equal(link.retry(), false)
  link.flush(false)
  port.poll(eventsInto([], []))
  assert.ok(link.retry())
  assert.ok(link.request(1, largest, 0, largest.length))
})

test('new connections are refused before completions lose their room', () => {
  const { link } = connect()
  const host = Buffer.alloc(8)
  let taken = 0
  while (link.connected(taken, '10.0.0.9:4711', host)) taken += 1
  for (let at = 0; at < 16_384; at++) link.appended(at, at, at, at, at)
  for (let id = 0; id < 10_000; id++) link.closed(id)
  assert.ok(taken > 10_000)
})

test('a full ring refuses requests and keeps room for completions', () => {
  const { link, port } = connect()
  const frame = Buffer.alloc(64 * 1024, 1)
  let taken = 0
  while (link.request(1, frame, 0, frame.length)) {
    taken += 1
    assert.ok(taken < 1000)
  }
  for (let at = 0; at < 16_384; at++) link.appendFailed(at, 'BUSY')
  link.flush(false)
  assert.ok(taken * frame.length > PORT_RING_BYTES / 2)
  assert.equal(port.pending, true)
})

test('a full ring is not waited for once nobody reads it', () => {
  let looks = 0
  const { port } = connect(PORT_RING_BYTES, () => ++looks > 2)
  const frame = Buffer.alloc(64 * 1024, 1)
  assert.throws(
    () => {
      for (let sent = 0; sent < 1000; sent++) port.send(1, frame)
    },
    { code: 'CLOSED' },
  )
  assert.equal(looks, 3)
})
