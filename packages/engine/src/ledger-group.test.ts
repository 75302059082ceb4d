import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Doorbell } from 'sharedarraybuffer-ringbuffer'
import type {
  AppendError,
  Appended,
  Ledger,
  LedgerEntry,
  LedgerError,
  LedgerOptions,
} from './index.ts'
import { LedgerGroup } from './ledger-group-fake.ts'

async function open(
  t: TestContext,
  overrides: Partial<LedgerOptions> = {},
  cuttable = false,
): Promise<{ group: LedgerGroup; leader: Ledger; id: string; others: string[] }> {
  const group = await LedgerGroup.open(overrides, cuttable)
  t.after(() => group.close())
  const leader = await group.leader()
  const id = leader.status().selfId
  return { group, leader, id, others: group.ids.filter((other) => other !== id) }
}

async function texts(ledger: Ledger, untilIndex: number): Promise<string[]> {
  const found: string[] = []
  for await (const { body } of ledger.read({ index: 0 }, { follow: true, untilIndex })) {
    found.push(Buffer.from(body).toString('utf8'))
  }
  return found
}

function appendAll(ledger: Ledger, prefix: string, count: number): Promise<unknown[]> {
  const bodies = Array.from({ length: count }, (_, at) => Buffer.from(`${prefix}${at}`))
  return Promise.all(bodies.map((body) => ledger.append(body)))
}

test('three ledgers in one process hold the same entries', async (t) => {
  const { group, leader, others } = await open(t)
  await appendAll(leader, 'a', 2_000)
  const { index } = await leader.readIndex()
  const expected = await texts(leader, index)
  assert.equal(expected.length, 2_000)
  for (const other of others) {
    const follower = group.of(other)
    assert.deepEqual(await texts(follower, index), expected)
    const refused = { code: 'NOT_LEADER', mayCommit: false, leaderId: leader.status().selfId }
    await assert.rejects(follower.append(Buffer.from('x')), refused)
    await assert.rejects(follower.readIndex(), refused)
    await assert.rejects(follower.transferLeadership(), refused)
    assert.deepEqual(follower.status().peers, [])
  }
  const { peers } = leader.status()
  assert.deepEqual(
    peers.map(({ id, connected }) => [id, connected]),
    others.map((other) => [other, true]),
  )
})

test('a leader that lost its majority answers no read and no append, others go on', async (t) => {
  const { group, leader, id, others } = await open(t, {}, true)
  await appendAll(leader, 'before', 10)
  group.isolate(id)
  const read = leader.readIndex()
  const lost = leader.append(Buffer.from('lost'))
  const [readEnd, lostEnd] = await Promise.allSettled([read, lost])
  assert.ok(readEnd?.status === 'rejected' && lostEnd?.status === 'rejected')
  assert.equal((readEnd.reason as AppendError).code, 'NOT_LEADER')
  const refusal = lostEnd.reason as AppendError
  // The loss of the links may have ended its leadership before the append was ordered.
  assert.equal(refusal.mayCommit, refusal.code === 'LEADERSHIP_LOST')
  const next = await group.leader(others)
  assert.notEqual(next.status().selfId, id)
  const after = await next.append(Buffer.from('after'))
  assert.equal(await leader.get(after.index), undefined)
  await assert.rejects(leader.readIndex(), { code: 'NOT_LEADER' })
  group.isolate(id, false)
  const seen = await texts(leader, after.index)
  assert.equal(seen.at(-1), 'after')
  assert.ok(!seen.includes('lost'))
})

test('a planned transfer under load loses nothing and repeats nothing', async (t) => {
  const { group, leader, others } = await open(t)
  const target = others[0] as string
  const acknowledged = new Map<number, string>()
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let at = 0; at < 200; at++) {
      const body = `${writer}-${at}`
      const current = [...group.ledgers.values()].find((one) => one.status().serving) ?? leader
      try {
        const { index } = await current.append(Buffer.from(body))
        acknowledged.set(index, body)
      } catch (error) {
        const { code } = error as AppendError
        assert.ok(['HANDING_OVER', 'NOT_LEADER', 'LEADERSHIP_LOST'].includes(code), code)
      }
    }
  })
  await leader.transferLeadership(target).then(
    () => assert.notEqual(leader.status().role, 'leader'),
    // On a machine that is slow enough leadership has moved by itself, or nobody took it in time.
    ({ code }: LedgerError) => assert.ok(['TIMEOUT', 'NOT_LEADER'].includes(code), code),
  )
  await Promise.all(writers)
  const next = await group.leader()
  const { index } = await next.readIndex()
  const stored = new Map<string, number>()
  for await (const entry of next.read({ index: 0 }, { untilIndex: index })) {
    const body = Buffer.from(entry.body).toString('utf8')
    assert.ok(!stored.has(body), `${body} is stored once`)
    stored.set(body, entry.index)
  }
  for (const [at, body] of acknowledged) assert.equal(stored.get(body), at)
})

test('an importer that blocks its event loop keeps its leadership', async (t) => {
  const { group, leader } = await open(t)
  const { term } = leader.status()
  const appended = leader.append(Buffer.from('on its way'))
  // In the ring before the loop stands still.
  await new Promise(process.nextTick)
  new Doorbell(Doorbell.allocate()).wait(3_000, () => false)
  assert.ok((await appended).index > 0)
  await leader.readIndex()
  assert.deepEqual(
    group.statuses().map((status) => [status.term, status.leaderId]),
    group.ids.map(() => [term, leader.status().selfId]),
  )
})

test('a member that was closed comes back and gets what it missed', async (t) => {
  const { group, leader, others } = await open(t, { segmentBytes: 256 * 1024 })
  const away = others[1] as string
  await appendAll(leader, 'a', 100)
  await group.stop(away)
  const bodies = Array.from({ length: 400 }, () => Buffer.alloc(8_000, 7))
  for (let at = 0; at < bodies.length; at += 100) {
    await leader.appendBatch(bodies.slice(at, at + 100))
  }
  const last = await leader.append(Buffer.from('last'))
  const back = await group.start(away)
  const seen = await texts(back, last.index)
  assert.equal(seen.length, 501)
  assert.equal(seen.at(-1), 'last')
})

test('a closed leader hands over first', async (t) => {
  const { group, id, others } = await open(t)
  await group.stop(id)
  const next = await group.leader()
  assert.ok(others.includes(next.status().selfId))
  await next.append(Buffer.from('goes on'))
})

test('a member that needs what was trimmed begins anew, and is told to get a snapshot', async (t) => {
  const { group, leader, others } = await open(t, { segmentBytes: 64 * 1024, maxEntryBytes: 4096 })
  const away = others[1] as string
  await group.stop(away)
  for (let at = 0; at < 20; at++) {
    await leader.appendBatch(Array.from({ length: 20 }, () => Buffer.alloc(1_000, at)))
  }
  const end = await leader.readIndex()
  const { firstIndex } = await leader.trimPrefix(end.index)
  assert.ok(firstIndex > 300)
  const back = await group.start(away)
  const needed = new Promise<number>((resolve) => back.subscribe({ onSnapshotNeeded: resolve }))
  const tail = texts(back, end.index)
  await assert.rejects(tail, { code: 'TRIMMED', firstIndex })
  if (back.status().first.index !== firstIndex) assert.equal(await needed, firstIndex)
  await group.until(() => back.status().committed.index >= end.index)
  const found: number[] = []
  for await (const { index } of back.read({ index: firstIndex })) found.push(index)
  assert.deepEqual(
    found,
    Array.from({ length: end.index - firstIndex + 1 }, (_, at) => firstIndex + at),
  )
  await leader.append(Buffer.from('goes on'))
})

test('an entry that rotted is refused to its reader, and repaired by the others', async (t) => {
  const { group, leader, others } = await open(t, { segmentBytes: 64 * 1024, maxEntryBytes: 4096 })
  const bodies = Array.from({ length: 400 }, (_, at) => Buffer.alloc(1_000, at))
  const places = await Promise.all(bodies.map((body) => leader.append(body)))
  const id = others[0] as string
  const { index: last } = await leader.readIndex()
  await group.until(() => group.of(id).status().committed.index >= last)
  await group.stop(id)
  const victim = places[20] as Appended
  group.flipBit(id, victim.position + 48 + 500)
  const back = await group.start(id)
  await group.until(() => back.status().committed.index >= last)
  const damaged = { code: 'CORRUPT', message: /bodyCrc/ }
  await assert.rejects(back.get(victim.index), damaged)
  let entry: LedgerEntry | undefined
  while (entry === undefined) {
    entry = await back.get(victim.index).catch(async (error: LedgerError) => {
      assert.equal(error.code, 'CORRUPT')
      // Every commit is a chance to look again.
      await leader.append(Buffer.from('meanwhile'))
      return undefined
    })
  }
  assert.ok(Buffer.from(entry.body).equals(bodies[20] as Buffer))
})
