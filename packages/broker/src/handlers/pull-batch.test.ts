/** Pulls of queues that hold inner batches, against a model of what Apache's broker answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  decodeMessage,
  encodeMessage,
  MAX_INNER_BATCH,
  messageParts,
  messageSize,
  type RemotingCommand,
} from '@ringledger/protocol'
import fc from 'fast-check'
import { TestBroker } from '../broker-agent-fake.ts'
import { defaultTopicConfig } from '../state/configs.ts'
import { batchBody, INNER_BATCH_FLAGS } from '../store/store-world-fake.ts'

const TOPIC = 'B'

interface Item {
  elements: number
  tag: string
}

interface Placed extends Item {
  base: number
}

/** A queue as Apache's broker left it; this broker leads. */
function brokerWith(items: readonly Item[]): { broker: TestBroker; placed: Placed[] } {
  const broker = new TestBroker().lead()
  broker.agent.context.topics.create(defaultTopicConfig(TOPIC, 1), () => {})
  broker.run()
  const placed: Placed[] = []
  let base = 0
  for (const [at, { elements, tag }] of items.entries()) {
    write(broker, { elements, tag }, base)
    // What the queue ends with is read anew.
    broker.port.commit()
    broker.run()
    broker.follow(2 * at + 2)
    broker.lead(2 * at + 3)
    placed.push({ elements, tag, base })
    base += elements
  }
  return { broker, placed }
}

function write(broker: TestBroker, { elements, tag }: Item, base: number): void {
  const parts = messageParts({
    topic: TOPIC,
    queueId: 0,
    sysFlag: elements > 1 ? INNER_BATCH_FLAGS : 0,
    body: elements > 1 ? batchBody(elements, 0) : Buffer.from('x'),
    properties: `TAGS\u0001${tag}\u0002INNER_NUM\u0001${elements}\u0002INNER_BASE\u0001${base}`,
  })
  const bytes = Buffer.alloc(messageSize(parts))
  encodeMessage(bytes, 0, parts)
  broker.port.write(broker.agent.context.topics.slotOf(TOPIC, 0), bytes)
}

function pull(broker: TestBroker, offset: number, max: number, tags = '*'): RemotingCommand {
  const ext = {
    consumerGroup: 'G',
    topic: TOPIC,
    queueId: '0',
    queueOffset: String(offset),
    maxMsgNums: String(max),
    sysFlag: '4',
    commitOffset: '0',
    suspendTimeoutMillis: '0',
    subVersion: '0',
    subscription: tags,
  }
  const answer = broker.request({ code: 11, ext })
  assert.ok(answer)
  return answer
}

function basesIn({ body }: RemotingCommand): number[] {
  const bases: number[] = []
  for (let at = 0; at < body.length; at += body.readInt32BE(at)) {
    bases.push(decodeMessage(body, at).queueOffset)
  }
  return bases
}

/** Each message once; further ones while the offsets that they cover are no more than asked for. */
function expectedOf(
  placed: readonly Placed[],
  offset: number,
  max: number,
  tags: string,
): { bases: number[]; next: number } {
  const bases: number[] = []
  let total = 0
  let next = offset
  for (const { base, elements, tag } of placed) {
    const left = Math.min(elements, base + elements - offset)
    if (left <= 0) continue
    const isWanted = tags === '*' || tags === tag
    if (bases.length > 0 && (total >= max || (isWanted && total + left > max))) break
    next = base + elements
    if (!isWanted) continue
    bases.push(base)
    total += left
  }
  return { bases, next }
}

const item = fc.record({
  elements: fc.constantFrom(1, 1, 2, 3, 12, 40),
  tag: fc.constantFrom('a', 'b'),
})

test('a pull from any offset gives every message once, and goes on behind it', () => {
  fc.assert(
    fc.property(
      fc.array(item, { minLength: 1, maxLength: 12 }),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 32 }), fc.constantFrom('*', 'a'))),
      (items, pulls) => {
        const { broker, placed } = brokerWith(items)
        try {
          const last = placed.at(-1)!
          const maxOffset = last.base + last.elements
          assert.equal(broker.store.queues.find(TOPIC, 0)?.maxOffset, maxOffset)
          for (const [at, max, tags] of pulls) {
            const offset = at % maxOffset
            const answer = pull(broker, offset, max, tags)
            const { bases, next } = expectedOf(placed, offset, max, tags)
            assert.deepEqual(basesIn(answer), bases)
            assert.equal(Number(answer.ext.nextBeginOffset), next)
            assert.equal(Number(answer.ext.maxOffset), maxOffset)
          }
        } finally {
          broker.close()
        }
      },
    ),
    { numRuns: 20 },
  )
})

test('a batch of more units than one pull looks at is one message', (t) => {
  const { broker, placed } = brokerWith([
    { elements: 2, tag: 'a' },
    { elements: 2500, tag: 'a' },
    { elements: 3, tag: 'b' },
  ])
  t.after(() => broker.close())
  for (const offset of [2, 3, 900]) {
    const answer = pull(broker, offset, 32)
    assert.deepEqual([basesIn(answer), answer.ext.nextBeginOffset], [[2], '2502'])
  }
  const filtered = pull(broker, 1, 32, 'b')
  const { bases, next } = expectedOf(placed, 1, 32, 'b')
  assert.equal(filtered.code, 20)
  assert.ok(Number(filtered.ext.nextBeginOffset) > 1)
  const rest = pull(broker, Number(filtered.ext.nextBeginOffset), 32, 'b')
  assert.deepEqual([basesIn(rest), Number(rest.ext.nextBeginOffset)], [bases, next])
})

test('the next message gets the offset behind the batch', (t) => {
  const { broker } = brokerWith([{ elements: 5, tag: 'a' }])
  t.after(() => broker.close())
  const ext = { a: 'P', b: TOPIC, c: 'TBW102', d: '4', e: '0', f: '0', g: '1', h: '0', i: '' }
  const stored = broker.request({ code: 310, ext, body: 'y' })
  assert.deepEqual([stored?.code, stored?.ext.queueOffset], [0, '5'])
  const answer = pull(broker, 4, 32)
  assert.deepEqual([basesIn(answer), answer.ext.nextBeginOffset], [[0, 5], '6'])
})

test('a unit that names the message before it hides nothing', (t) => {
  const { broker } = brokerWith([
    { elements: 1, tag: 'a' },
    { elements: 1, tag: 'a' },
    { elements: 4, tag: 'a' },
    { elements: 1, tag: 'a' },
  ])
  t.after(() => broker.close())
  const queue = broker.store.queues.find(TOPIC, 0)
  assert.ok(queue)
  for (const [wrong, from] of [
    [1, 0],
    [6, 5],
  ] as const) {
    const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
    assert.ok(queue.unitAt(from, unit))
    queue.rewriteUnit(wrong, unit.physicalOffset, unit.sizeBytes, unit.tagsCode)
  }
  const bases: number[] = []
  for (let offset = 0, pulls = 0; offset < 7 && pulls < 20; pulls++) {
    const answer = pull(broker, offset, 32)
    assert.ok(answer.code === 0 || answer.code === 20)
    bases.push(...basesIn(answer))
    offset = Number(answer.ext.nextBeginOffset)
  }
  assert.deepEqual([...new Set(bases)], [0, 1, 2, 6])
})

test('inner batches are not taken from clients, nor given back as a whole', (t) => {
  const { broker } = brokerWith([{ elements: 5, tag: 'a' }])
  t.after(() => broker.close())
  const ext = { a: 'P', b: TOPIC, c: 'TBW102', d: '4', e: '0', f: '0', g: '1', h: '0', i: '' }
  const flagged = broker.request({ code: 310, ext: { ...ext, f: '192' }, body: batchBody(3, 0) })
  assert.equal(flagged?.code, 13)
  const i = 'INNER_NUM\u00013\u0002'
  assert.equal(broker.request({ code: 310, ext: { ...ext, i }, body: 'y' })?.code, 13)
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  assert.ok(broker.store.queues.find(TOPIC, 0)?.unitAt(3, unit))
  const back = { offset: String(unit.physicalOffset), group: 'G', delayLevel: '0' }
  const given = broker.request({ code: 36, ext: back })
  assert.equal(given?.code, 1)
  assert.match(given?.remark ?? '', /is an inner batch/)
  assert.equal(broker.store.queues.find(TOPIC, 0)?.maxOffset, 5)
})

test('the most elements that a batch can have', (t) => {
  const { broker } = brokerWith([{ elements: MAX_INNER_BATCH, tag: 'a' }])
  t.after(() => broker.close())
  const answer = pull(broker, MAX_INNER_BATCH - 1, 1)
  assert.deepEqual([basesIn(answer), answer.ext.nextBeginOffset], [[0], String(MAX_INNER_BATCH)])
})
