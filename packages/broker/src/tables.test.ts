import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock, randomBetween, seededRandom } from '@ringledger/base'
import { javaHashCode } from '@ringledger/protocol'
import { ClientCalls } from './client-calls.ts'
import { ConsumerGroups, type Member } from './groups.ts'
import { LOCK_EXPIRY_MS, QueueLocks } from './locks.ts'
import { LogLimiter } from './log-limiter.ts'
import { Producers } from './producers.ts'
import { QueueSlots } from './queue-slots.ts'
import { BrokerStats, SAMPLE_MS, StatName } from './stats.ts'
import { passesTags, tagSubscription } from './subscription.ts'

function member(connectionId: number, lastUpdateMs = 0): Member {
  return {
    connectionId,
    clientId: `c${connectionId}`,
    language: 'JAVA',
    version: 493,
    lastUpdateMs,
  }
}

const BEAT = {
  consumeType: 'CONSUME_PASSIVELY',
  messageModel: 'CLUSTERING',
  consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
}

test('subscriptions: tags by their hash, everything for * and nothing', () => {
  for (const text of ['*', '', undefined]) {
    assert.equal(passesTags(tagSubscription('T', text, 0)!, 12345), true)
  }
  const some = tagSubscription('T', ' TagA ||TagB|| ', 0)!
  assert.deepEqual(some.tags, ['TagA', 'TagB'])
  assert.ok(passesTags(some, javaHashCode('TagA')))
  assert.equal(passesTags(some, javaHashCode('TagC')), false)
  assert.equal(tagSubscription('T', 'a||'.repeat(1_001), 0), undefined)
})

test('groups refuse what is above their bounds and forget closed connections', () => {
  const groups = new ConsumerGroups({ maxGroups: 2, maxMembers: 3, maxSubscriptionsPerGroup: 1 })
  const beat = (name: string, topics: string[] = []) => ({
    ...BEAT,
    name,
    subscriptions: topics.map((topic) => tagSubscription(topic, '*', 1)!),
  })
  assert.equal(groups.register(member(1), beat('A', ['T'])), 'changed')
  assert.equal(groups.register(member(1), beat('A', ['T', 'U'])), 'full')
  assert.equal(groups.register(member(1), beat('B')), 'changed')
  assert.equal(groups.register(member(2), beat('C')), 'full')
  assert.equal(groups.register(member(2), beat('A', ['T'])), 'changed')
  assert.equal(groups.register(member(3), beat('A', ['T'])), 'full')
  assert.equal(groups.register(member(2, 50), beat('A', ['T'])), 'unchanged')
  assert.deepEqual(groups.silentSince(10), [1])
  assert.deepEqual(groups.dropConnection(1), ['A', 'B'])
  assert.deepEqual(groups.dropConnection(1), [])
  assert.equal(groups.size, 1)
  assert.equal(groups.register(member(3), beat('A', ['T'])), 'changed')
})

test('a newer subscription replaces an older one, never the other way', () => {
  const groups = new ConsumerGroups()
  const beat = (text: string, version: number) => ({
    ...BEAT,
    name: 'A',
    subscriptions: [tagSubscription('T', text, version)!],
  })
  groups.register(member(1), beat('x', 5))
  groups.register(member(2), beat('old', 4))
  assert.equal(groups.get('A')?.subscriptions.get('T')?.subString, 'x')
  assert.equal(groups.register(member(1), beat('new', 6)), 'unchanged')
  assert.equal(groups.get('A')?.subscriptions.get('T')?.subString, 'new')
})

test('producers are found by client and forgotten with their connection', () => {
  const producers = new Producers()
  producers.register('P', member(1))
  producers.register('Q', member(1))
  producers.register('P', member(2, 100))
  assert.equal(producers.connectionOf('c2'), 2)
  assert.deepEqual(producers.silentSince(50), [1])
  producers.unregister(1, 'Q')
  producers.dropConnection(1)
  assert.equal(producers.size, 1)
  assert.equal(producers.of('Q'), undefined)
})

test('a queue never has two unexpired owners', () => {
  for (let seed = 1; seed < 30; seed++) {
    const random = seededRandom(seed)
    const locks = new QueueLocks()
    const owner = new Map<number, { client: string; atMs: number }>()
    let nowMs = 0
    for (let step = 0; step < 400; step++) {
      nowMs += randomBetween(random, 0, 20_000)
      const client = `c${randomBetween(random, 0, 3)}`
      const queueId = randomBetween(random, 0, 4)
      const queue = { topic: 'T', brokerName: 'b', queueId }
      const held = owner.get(queueId)
      if (random() < 0.2) {
        locks.unlock('G', client, [queue])
        if (held?.client === client) owner.delete(queueId)
      } else {
        const granted = locks.lock('G', client, [queue], nowMs).length === 1
        const free =
          held === undefined || held.client === client || nowMs - held.atMs > LOCK_EXPIRY_MS
        assert.equal(granted, free)
        if (granted) owner.set(queueId, { client, atMs: nowMs })
      }
      if (random() < 0.05) locks.sweep(nowMs)
    }
    locks.sweep(nowMs + LOCK_EXPIRY_MS + 1)
    assert.equal(locks.size, 0)
  }
})

test('queues of different topics never share a slot, however topics come, grow and go', () => {
  for (let seed = 1; seed < 30; seed++) {
    const random = seededRandom(seed)
    const slots = new QueueSlots()
    for (let step = 0; step < 300; step++) {
      const topic = `t${randomBetween(random, 0, 10)}`
      if (random() < 0.3) slots.release(topic)
      else slots.assign(topic, randomBetween(random, 1, 20))
      const used = [...slots.all()].map(([, , slot]) => slot)
      assert.equal(new Set(used).size, used.length)
    }
    const last = Math.max(...[...slots.all()].map(([, , slot]) => slot), 0)
    assert.ok(last < 10 * 20 * 21, 'freed slots are used again')
  }
})

test('statistics of the last minute', () => {
  const stats = new BrokerStats()
  for (let second = 0; second <= 120; second += SAMPLE_MS / 1_000) {
    if (second > 0) stats.add(StatName.TOPIC_PUT_NUMS, 'T', SAMPLE_MS / 200)
    stats.sample(second * 1_000 + 1)
  }
  const minute = stats.view('TOPIC_PUT_NUMS', 'T', 120_001)?.minute
  assert.deepEqual([minute?.sum, minute?.tps], [300, 5])
  assert.equal(stats.view('TOPIC_PUT_NUMS', 'U', 120_001), undefined)
})

test('a call to a client ends once: by its answer, its deadline or its connection', () => {
  const calls = new ClientCalls()
  const ended: string[] = []
  const expect = (connectionId: number, opaque: number, deadlineMs: number) =>
    calls.expect(connectionId, opaque, deadlineMs, (answer) =>
      ended.push(`${opaque}:${answer?.code ?? 'none'}`),
    )
  const answer = (opaque: number) => ({
    code: 0,
    language: 'JAVA' as const,
    version: 493,
    opaque,
    flag: 1,
    ext: {},
    body: Buffer.alloc(0),
    serializeType: 0 as const,
  })
  expect(1, 10, 100)
  expect(1, 11, 50)
  expect(2, 12, 100)
  calls.onAnswer(2, answer(10))
  calls.onAnswer(1, answer(10))
  calls.onAnswer(1, answer(10))
  assert.equal(calls.nextDeadlineMs, 50)
  calls.expire(60)
  calls.dropConnection(2)
  calls.expire(1_000)
  assert.deepEqual(ended, ['10:0', '11:none', '12:none'])
})

test('log lines above the rate are counted, not written', () => {
  const clock = new FakeClock()
  const lines: string[] = []
  const limiter = new LogLimiter(clock, (line) => lines.push(line))
  for (let count = 0; count < 50; count++) limiter.log('x')
  assert.equal(lines.length, 20)
  clock.advance(1_000)
  limiter.log('y')
  assert.deepEqual(lines.slice(20), ['30 more lines of this kind', 'y'])
})
