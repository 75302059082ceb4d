import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '@ringledger/base'
import type { Connection } from '@ringledger/network'
import {
  type CommandInit,
  encodeCommand,
  encodeHost,
  type RemotingCommand,
  ResponseCode,
  sendExtConstants,
  UniqueIds,
} from '@ringledger/protocol'
import fc from 'fast-check'
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { BrokerLink } from './broker-link.ts'
import { FakeConnection } from './connection-fake.ts'
import { FrontLink } from './front-link.ts'
import { testLog } from './log-order-fake.ts'
import { RemoteFronts } from './remote-fronts.ts'
import { RingSubmit } from './ring-submit.ts'
import { SendAnswers } from './send-answers.ts'
import { SendFront } from './send-front.ts'
import { SendResponder } from './send-responder.ts'
import { Taken } from './submit-port.ts'
import { TopicTable } from './topic-table.ts'

const STORE_HOST = encodeHost('127.0.0.1', 10911)
const QUEUES = 4
const TOKENS = 8
const ORDERS = {
  topic: 'orders',
  queueSlotBase: 0,
  queueCount: QUEUES,
  readQueueNums: QUEUES,
  writeQueueNums: QUEUES,
  perm: 6,
  fast: true,
}

/** A network worker and a core thread on one thread, with rings that fill up at once. */
class Pair {
  readonly clients = [1, 2, 3].map((id) => new FakeConnection(id))
  readonly log = testLog(64 * 1024, 16)
  readonly submit: RingSubmit
  readonly front: SendFront
  readonly fronts: RemoteFronts
  readonly answers: SendAnswers
  readonly frontTopics = new TopicTable()
  brokerDrains = 0
  onBrokerDrain = (): void => {}

  constructor() {
    const submissions = SpscRing.allocate(8 * 1024)
    const completions = SpscRing.allocate(512)
    const coreBell = new Doorbell(Doorbell.allocate())
    const bell = new Doorbell(Doorbell.allocate())
    const state = new Int32Array(new SharedArrayBuffer(4))
    const responder = new SendResponder(STORE_HOST, sendExtConstants('DefaultRegion', true))
    const connections = new Map<number, Connection>()
    for (const client of this.clients) connections.set(client.id, client.connection)
    this.submit = new RingSubmit({
      submissions: new SpscRing(submissions),
      completions: new SpscRing(completions),
      coreBell,
      state,
      tokens: TOKENS,
      responder,
      connections,
      clock: new FakeClock(),
    })
    this.front = new SendFront({
      port: this.submit,
      topics: this.frontTopics,
      responder,
      uniqueIds: new UniqueIds(STORE_HOST.subarray(0, 4), 1),
      storeHost: STORE_HOST,
      maxMessageSize: 4096,
      brokerPermission: 6,
      brokerProperties: Buffer.from('CLUSTER\u0001C\u0002'),
    })
    const { order } = this.log
    this.fronts = new RemoteFronts({
      links: [
        new FrontLink({
          number: 0,
          submissions: new SpscRing(submissions),
          completions: new SpscRing(completions),
          bell,
        }),
      ],
      order,
      state,
      drainBroker: () => {
        this.brokerDrains += 1
        this.onBrokerDrain()
      },
      touch: () => {},
    })
    const link = new BrokerLink({
      fromBroker: new SpscRing(SpscRing.allocate(4096)),
      toBroker: new SpscRing(SpscRing.allocate(4096)),
      brokerBell: bell,
    })
    this.answers = new SendAnswers({ pending: order.pending, link, owner: this.fronts })
    this.frontTopics.put(ORDERS)
    order.topics.put(ORDERS)
    this.setServing(true)
  }

  setServing(serving: boolean): void {
    this.log.order.serving = serving
    if (!serving) this.answers.failAll('LEADERSHIP_LOST')
    this.fronts.flush()
  }

  take(client: number, frame: Buffer): Taken {
    const { connection } = this.clients[client] as FakeConnection
    return this.front.take(connection, frame, 0, frame.length)
  }

  coreTurn(): void {
    this.fronts.drain()
    this.fronts.flush()
  }

  commit(): void {
    const { arena, writer } = this.log
    arena.appended = arena.durable = arena.committed = arena.dispatched = writer.endPosition
    this.answers.complete(writer.endPosition)
    this.fronts.flush()
  }

  settle(): void {
    this.submit.flush()
    this.coreTurn()
    this.commit()
    this.submit.drain()
  }
}

interface Wanted {
  readonly opaque: number
  readonly queueId: number
  readonly body: string
  readonly key: string
  readonly oneWay: boolean
}

function sendFrame({ opaque, queueId, body, key, oneWay }: Wanted): Buffer {
  const init: CommandInit = {
    code: 310,
    opaque,
    flag: oneWay ? 2 : 0,
    ext: {
      a: 'producers',
      b: 'orders',
      c: 'TBW102',
      d: '4',
      e: String(queueId),
      f: '0',
      g: '1700000000123',
      h: '0',
      i: key === '' ? '' : `UNIQ_KEY\u0001${key}\u0002`,
      j: '0',
      k: 'false',
      m: 'false',
    },
    body: Buffer.from(body),
  }
  return encodeCommand(init)
}

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      client: fc.nat(2),
      queueId: fc.nat(QUEUES - 1),
      bodyBytes: fc.nat(1200),
      keyBytes: fc.constantFrom(0, 1, 32, 64),
      oneWay: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'publish' as const,
        'core' as const,
        'commit' as const,
        'answers' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const) }) },
)

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never

/** Does the steps, settles, and returns what each client has sent. */
function play(pair: Pair, steps: readonly Step[]): Wanted[][] {
  const sent: Wanted[][] = pair.clients.map(() => [])
  for (const [at, one] of steps.entries()) {
    if (one.kind === 'send') {
      const opaque = at + 1
      const wanted = {
        opaque,
        queueId: one.queueId,
        body: `${opaque}`.padEnd(one.bodyBytes, '.'),
        key: `${opaque}`.padEnd(one.keyBytes, 'k').slice(0, one.keyBytes),
        oneWay: one.oneWay,
      }
      const taken = pair.take(one.client, sendFrame(wanted))
      if (taken === Taken.DONE) {
        sent[one.client]?.push(wanted)
      } else {
        assert.equal(taken, Taken.LATER)
        pair.settle()
        assert.ok(pair.submit.retry(), 'there is room once everything is settled')
      }
    } else if (one.kind === 'publish') pair.submit.flush()
    else if (one.kind === 'core') pair.coreTurn()
    else if (one.kind === 'commit') pair.commit()
    else if (one.kind === 'answers') pair.submit.drain()
    else {
      pair.setServing(false)
      pair.coreTurn()
      pair.setServing(true)
    }
  }
  pair.settle()
  return sent
}

const REFUSED: readonly number[] = [
  ResponseCode.SYSTEM_ERROR,
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.SERVICE_NOT_AVAILABLE,
]

/** Returns `queue/offset` of what was stored, undefined for a refusal. */
function checkAnswer(pair: Pair, wanted: Wanted, answer: RemotingCommand): string | undefined {
  assert.equal(answer.opaque, wanted.opaque)
  if (REFUSED.includes(answer.code)) return undefined
  const { queueId = '', queueOffset = '', transactionId, msgId = '' } = answer.ext
  assert.equal(answer.code, ResponseCode.SUCCESS)
  assert.equal(queueId, String(wanted.queueId))
  if (wanted.key !== '') assert.equal(transactionId, wanted.key)
  const physicalOffset = Number.parseInt(msgId.slice(16), 16)
  if (physicalOffset >= pair.log.arena.oldest) {
    const message = pair.log.stored(physicalOffset)
    assert.equal(message.body.toString(), wanted.body)
    assert.equal(String(message.queueOffset), queueOffset)
    assert.equal(message.properties.get('UNIQ_KEY'), transactionId)
  }
  return `${queueId}/${queueOffset}`
}

test('every send is answered once with its own place, or refused', () => {
  let stored = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const pair = new Pair()
      const places: string[] = []
      for (const [client, wanted] of play(pair, steps).entries()) {
        const answers = (pair.clients[client] as FakeConnection).outbox.frames
        answers.sort((left, right) => left.opaque - right.opaque)
        const twoWay = wanted.filter(({ oneWay }) => !oneWay)
        assert.equal(answers.length, twoWay.length)
        for (const [at, one] of twoWay.entries()) {
          const place = checkAnswer(pair, one, answers[at] as RemotingCommand)
          if (place !== undefined) places.push(place)
        }
      }
      assert.equal(new Set(places).size, places.length, 'an offset is given out once')
      stored += places.length
    }),
    { numRuns: 200 },
  )
  assert.ok(stored > 1_000)
})

test('full rings and used up tokens put sends off until answers have come', () => {
  const pair = new Pair()
  const frame = sendFrame({ opaque: 1, queueId: 0, body: 'x', key: '', oneWay: false })
  for (let at = 0; at < TOKENS; at++) assert.equal(pair.take(0, frame), Taken.DONE)
  assert.equal(pair.take(0, frame), Taken.LATER)
  assert.equal(pair.submit.retry(), false)
  pair.submit.flush()
  pair.coreTurn()
  assert.equal(pair.submit.retry(), false)
  pair.commit()
  pair.submit.drain()
  assert.equal(pair.submit.retry(), true)
  assert.equal(pair.take(0, frame), Taken.DONE)
})

test('messages longer than a ring frame and keys longer than a slot go the other way', () => {
  const pair = new Pair()
  const wanted = { opaque: 1, queueId: 0, oneWay: false }
  const long = sendFrame({ ...wanted, body: 'x'.repeat(3000), key: '' })
  const longKey = sendFrame({ ...wanted, body: 'x', key: 'k'.repeat(65) })
  assert.equal(pair.take(0, long), Taken.FORWARD)
  assert.equal(pair.take(0, longKey), Taken.FORWARD)
})

test('the core thread looks for a topic that a worker knows first, and trusts its own table', () => {
  const pair = new Pair()
  const { topics } = pair.log.order
  const frame = sendFrame({ opaque: 1, queueId: 3, body: 'x', key: '', oneWay: false })
  topics.remove('orders')
  const moved = { ...ORDERS, queueSlotBase: 8, nextOffsets: [0, 0, 0, 70] }
  pair.onBrokerDrain = () => topics.put(moved)
  pair.take(0, frame)
  pair.settle()
  assert.equal(pair.brokerDrains, 1)
  topics.remove('orders')
  pair.onBrokerDrain = () => {}
  pair.take(0, frame)
  pair.settle()
  const [stored, refused] = (pair.clients[0] as FakeConnection).outbox.frames
  assert.equal(stored?.ext.queueOffset, '70')
  assert.equal(refused?.code, ResponseCode.SERVICE_NOT_AVAILABLE)
})

test('what a worker submits to a node that no longer serves is refused', () => {
  const pair = new Pair()
  const frame = sendFrame({ opaque: 7, queueId: 0, body: 'x', key: '', oneWay: false })
  assert.equal(pair.take(0, frame), Taken.DONE)
  pair.setServing(false)
  assert.equal(pair.take(0, frame), Taken.FORWARD)
  pair.settle()
  const [answer] = (pair.clients[0] as FakeConnection).outbox.frames
  assert.equal(answer?.opaque, 7)
  assert.equal(answer?.code, ResponseCode.SERVICE_NOT_AVAILABLE)
  assert.equal(pair.log.writer.endPosition, 0)
})

test('while a leader is found nothing is taken out of the rings, and workers hold what comes', () => {
  const pair = new Pair()
  const { order } = pair.log
  const wanted = { opaque: 1, queueId: 0, body: 'a', key: 'k', oneWay: false }
  assert.equal(pair.take(0, sendFrame(wanted)), Taken.DONE)
  pair.submit.flush()
  order.holding = true
  order.serving = false
  pair.coreTurn()
  assert.equal(pair.take(1, sendFrame({ ...wanted, opaque: 2 })), Taken.LATER)
  assert.equal(pair.submit.retry(), false)
  order.holding = false
  order.serving = true
  pair.coreTurn()
  assert.equal(pair.submit.retry(), true)
  pair.settle()
  const answer = pair.clients[0]?.outbox.frames[0]
  assert.deepEqual([answer?.opaque, answer?.code], [1, ResponseCode.SUCCESS])
})
