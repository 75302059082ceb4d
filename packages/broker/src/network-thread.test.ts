import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type TestClient, type TestNode, TestNodes } from './node-fake.ts'

const SEPARATE = { threads: 'separate', networkThreads: 2 } as const
const QUEUES = 4

async function nodes(t: TestContext, count: number): Promise<TestNodes> {
  const group = new TestNodes()
  t.after(() => group.close())
  await group.start(count, SEPARATE)
  return group
}

async function clients(group: TestNodes, node: TestNode, count: number): Promise<TestClient[]> {
  return await Promise.all(Array.from({ length: count }, () => group.client(node)))
}

/** The topic exists, and every client's thread knows it. */
async function introduce(all: readonly TestClient[], topic: string): Promise<number> {
  for (const client of all) await client.store(topic, 0, 'first')
  return all.length
}

test('sends of many connections through two network workers are stored once and in order', {
  timeout: 120_000,
}, async (t) => {
  const group = await nodes(t, 1)
  const all = await clients(group, await group.leader(), 12)
  const firsts = await introduce(all, 'orders')
  const each = 200
  const sent = all.flatMap((client, number) =>
    Array.from({ length: each }, async (_, at) => {
      const body = `${number}:${at}`
      return { body, number, at, stored: await client.store('orders', at % QUEUES, body) }
    }),
  )
  const stored = await Promise.all(sent)
  for (let queueId = 0; queueId < QUEUES; queueId++) {
    const extra = queueId === 0 ? firsts : 0
    const count = (all.length * each) / QUEUES + extra
    const bodies = await (all[queueId] as TestClient).readQueue('orders', queueId, count)
    for (const { stored: place, body } of stored.filter((one) => one.at % QUEUES === queueId)) {
      assert.equal(place.queueId, queueId)
      assert.equal(bodies[place.queueOffset], body)
    }
    for (let number = 0; number < all.length; number++) {
      const mine = bodies.filter((body) => body.startsWith(`${number}:`))
      const expected = stored.filter((one) => one.number === number && one.at % QUEUES === queueId)
      assert.deepEqual(
        mine,
        expected.map(({ body }) => body),
      )
    }
  }
})

test('two hundred connections, and what the broker thread answers, through network workers', {
  timeout: 120_000,
}, async (t) => {
  const group = await nodes(t, 1)
  const leader = await group.leader()
  const [reader, writer] = (await clients(group, leader, 2)) as [TestClient, TestClient]
  await t.test('a held pull gets the message that another connection sends', async () => {
    await writer.store('waited', 0, 'old')
    const held = reader.pull('waited', 1, 0, 15_000)
    await writer.store('waited', 1, 'new')
    assert.deepEqual(
      (await held).map(({ body }) => body.toString()),
      ['new'],
    )
  })
  await t.test(
    'a message too large for the ring to the core thread is stored as well',
    async () => {
      const body = Buffer.alloc(3 * 1024 * 1024, 'large')
      const { queueOffset } = await writer.store('waited', 2, body)
      const [message] = await reader.pull('waited', 2, queueOffset)
      assert.ok(message?.body.equals(body))
    },
  )
  await t.test('many connections at once', async () => {
    const all = await clients(group, leader, 200)
    await Promise.all(all.map((client) => client.store('waited', 3, 'hello')))
    const places = await Promise.all(
      all.map(async (client) => (await client.store('waited', 3, 'again')).queueOffset),
    )
    assert.equal(new Set(places).size, all.length)
    const bodies = await reader.readQueue('waited', 3, 400)
    for (const place of places) assert.equal(bodies[place], 'again')
  })
})

test('a stopped leader of three loses nothing that it acknowledged', {
  timeout: 180_000,
}, async (t) => {
  const group = await nodes(t, 3)
  const stopping = await group.leader()
  const [first] = (await clients(group, stopping, 1)) as [TestClient]
  await first.store('moved', 0, 'first')
  const acknowledged: { queueId: number; queueOffset: number; body: string }[] = []
  let stopped = false
  const produce = async (number: number): Promise<void> => {
    const queueId = number % QUEUES
    let client: TestClient | undefined
    for (let at = 0, after = 0; after < 50; at++) {
      const body = `${number}:${at}`
      try {
        client ??= await group.client(await group.leader())
        const stored = await client.store('moved', queueId, body)
        acknowledged.push({ ...stored, body })
        if (stopped) after += 1
      } catch {
        // Refused while leadership moved, or the connection is gone.
        client = undefined
      }
    }
  }
  const producers = Array.from({ length: 8 }, (_, number) => produce(number))
  await first.store('moved', 0, 'under way')
  await group.stop(stopping)
  stopped = true
  await Promise.all(producers)
  const reader = await group.client(await group.leader())
  for (let queueId = 0; queueId < QUEUES; queueId++) {
    const mine = acknowledged.filter((one) => one.queueId === queueId)
    const count = Math.max(...mine.map(({ queueOffset }) => queueOffset)) + 1
    const bodies = await reader.readQueue('moved', queueId, count)
    for (const { queueOffset, body } of mine) assert.equal(bodies[queueOffset], body)
  }
})
