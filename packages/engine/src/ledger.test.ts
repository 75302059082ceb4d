import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import { AppendError, type Ledger, type LedgerEntry, LedgerError, openLedger } from './index.ts'
import type { LedgerOptions } from './ledger.ts'

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-ledger-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A group of one in a directory of its own. */
async function openOne(t: TestContext, options: Partial<LedgerOptions> = {}): Promise<Ledger> {
  const ledger = await openLedger({ directory: directoryOf(t), minimumFreeBytes: 1, ...options })
  t.after(() => ledger.close())
  return ledger
}

async function all(entries: AsyncIterable<LedgerEntry>): Promise<LedgerEntry[]> {
  const found: LedgerEntry[] = []
  for await (const entry of entries) found.push(entry)
  return found
}

function text(entry: LedgerEntry | undefined): string | undefined {
  return entry === undefined ? undefined : Buffer.from(entry.body).toString('utf8')
}

test('an append resolves with its place, and is read from there', async (t) => {
  const ledger = await openOne(t)
  const first = await ledger.append(Buffer.from('one'))
  const second = await ledger.append(new Uint8Array([2]))
  // Index 0 opens the term.
  assert.deepEqual([first.index, second.index, second.term], [1, 2, first.term])
  assert.equal(second.position, first.position + 48 + 3)
  assert.equal(text(await ledger.get(1)), 'one')
  assert.equal(await ledger.get(0), undefined)
  assert.equal(await ledger.get(3), undefined)
  const read = await all(ledger.read({ index: 0 }))
  assert.deepEqual(
    read.map(({ index, term, position, body }) => ({ index, term, position, size: body.length })),
    [
      { ...first, size: 3 },
      { ...second, size: 1 },
    ],
  )
  assert.deepEqual((await all(ledger.read({ position: second.position }))).length, 1)
  assert.deepEqual((await all(ledger.read({ position: second.position - 1 }))).length, 2)
  assert.deepEqual(await all(ledger.read({ index: 3 })), [])
  assert.equal((await all(ledger.read({ index: 1 }, { untilIndex: 1 }))).length, 1)
})

test('a batch is ordered without a gap, empty bodies and an empty batch too', async (t) => {
  const ledger = await openOne(t)
  const bodies = ['a', '', 'ccc'].map((body) => Buffer.from(body))
  const [places, single] = await Promise.all([
    ledger.appendBatch(bodies),
    ledger.append(Buffer.from('z')),
  ])
  assert.deepEqual(
    places.map(({ index }) => index),
    [1, 2, 3],
  )
  assert.equal(single.index, 4)
  assert.deepEqual((await all(ledger.read({ index: 1 }))).map(text), ['a', '', 'ccc', 'z'])
  assert.deepEqual(await ledger.appendBatch([]), [])
  assert.equal((await ledger.appendBatch([Buffer.from('only')]))[0]?.index, 5)
})

test('a log is there again after a restart, from files, across segments', async (t) => {
  const directory = directoryOf(t)
  const options = { directory, minimumFreeBytes: 1, segmentBytes: 64 * 1024 }
  const ledger = await openLedger(options)
  const bodies = Array.from({ length: 500 }, (_, at) => Buffer.alloc((at * 37) % 3000, at))
  await Promise.all(bodies.map((body) => ledger.append(body)))
  await ledger.close()
  const again = await openLedger(options)
  t.after(() => again.close())
  const end = await again.readIndex()
  assert.deepEqual(again.status().end, end)
  const read = await all(again.read({ index: 0 }))
  assert.equal(read.length, bodies.length)
  for (const [at, entry] of read.entries()) {
    assert.deepEqual(Buffer.from(entry.body), bodies[at])
  }
  assert.equal((await again.get(250))?.index, 250)
  assert.ok((await again.append(Buffer.from('on'))).index > 500)
})

test('a follower of the tail sees entries as they commit', async (t) => {
  const ledger = await openOne(t)
  const found: string[] = []
  const reading = (async () => {
    for await (const entry of ledger.read({ index: 1 }, { follow: true, untilIndex: 40 })) {
      found.push(text(entry) ?? '')
    }
  })()
  for (let at = 1; at <= 40; at++) await ledger.append(Buffer.from(`${at}`))
  await reading
  assert.deepEqual(
    found,
    Array.from({ length: 40 }, (_, at) => `${at + 1}`),
  )
})

test('a wait at the tail ends with its signal, or with the ledger', async (t) => {
  const ledger = await openOne(t)
  const ends = ledger.status().committed
  const stop = new AbortController()
  const aborted = all(ledger.read({ index: 1 }, { follow: true, signal: stop.signal }))
  const closed = all(ledger.read({ position: ends.position }, { follow: true }))
  stop.abort()
  await assert.rejects(aborted, { code: 'ABORTED' })
  const late = assert.rejects(closed, { code: 'CLOSED' })
  await ledger.close()
  await late
  await assert.rejects(ledger.get(1), { code: 'CLOSED' })
  await assert.rejects(ledger.readIndex(), { code: 'CLOSED', mayCommit: false })
  await assert.rejects(ledger.append(Buffer.from('x')), { code: 'CLOSED', mayCommit: false })
  await assert.rejects(ledger.trimPrefix(0), { code: 'CLOSED' })
  await ledger.close()
})

test('what can never fit is refused before anything is written', async (t) => {
  const ledger = await openOne(t, { maxEntryBytes: 4096 })
  const longest = await ledger.append(Buffer.alloc(4096 - 48))
  assert.equal(longest.index, 1)
  const refused = { name: 'LedgerError', code: 'TOO_LARGE', mayCommit: false }
  await assert.rejects(ledger.append(Buffer.alloc(4096 - 47)), refused)
  await assert.rejects(ledger.appendBatch([Buffer.alloc(1), Buffer.alloc(4096)]), refused)
  const many = Array.from({ length: 20_000 }, () => new Uint8Array(0))
  await assert.rejects(ledger.appendBatch(many), refused)
  assert.equal(ledger.status().end.index, 1)
})

test('more appends at once than there is room for wait, and too many are refused', async (t) => {
  const ledger = await openOne(t)
  const asked = 60_000
  const results = await Promise.allSettled(
    Array.from({ length: asked }, (_, at) => ledger.append(Buffer.from(`${at}`))),
  )
  const done = results.filter((one) => one.status === 'fulfilled')
  for (const one of results) {
    if (one.status === 'fulfilled') continue
    assert.ok(one.reason instanceof AppendError && one.reason instanceof LedgerError)
    assert.deepEqual([one.reason.code, one.reason.mayCommit], ['BUSY', false])
  }
  assert.ok(done.length > 4_096 && done.length < asked)
  const read = await all(ledger.read({ index: 1 }))
  assert.equal(read.length, done.length)
  // In the order of the calls.
  assert.deepEqual(
    read.map(text),
    results.flatMap((one, at) => (one.status === 'fulfilled' ? [`${at}`] : [])),
  )
})

test('a signal that fired keeps an append out, later it says that the entry may commit', async (t) => {
  const ledger = await openOne(t)
  const signal = AbortSignal.abort()
  await assert.rejects(ledger.append(Buffer.from('never'), { signal }), {
    code: 'ABORTED',
    mayCommit: false,
  })
  const stop = new AbortController()
  const late = ledger.append(Buffer.from('late'), { signal: stop.signal })
  stop.abort()
  await assert.rejects(late, { code: 'ABORTED', mayCommit: true })
  await ledger.append(Buffer.from('after'))
  assert.deepEqual((await all(ledger.read({ index: 1 }))).map(text), ['late', 'after'])
})

test('commits are told with their end, and status agrees', async (t) => {
  const ledger = await openOne(t)
  const seen: number[] = []
  const told = new Promise<void>((resolve) => {
    const stop = ledger.subscribe({
      onCommit(end) {
        seen.push(end.index)
        if (end.index < 2) return
        stop()
        resolve()
      },
    })
  })
  await ledger.append(Buffer.from('1'))
  const second = await ledger.append(Buffer.from('2'))
  await told
  assert.equal(seen.at(-1), 2)
  const end = { index: 2, position: second.position + 49 }
  assert.deepEqual(await ledger.readIndex(), end)
  const status = ledger.status()
  assert.deepEqual(
    [status.role, status.leaderId, status.serving, status.committed, status.end, status.disk],
    ['leader', 'n0', true, end, end, 'ok'],
  )
  assert.equal(status.durablePosition, end.position)
  await assert.rejects(ledger.transferLeadership(), { code: 'BAD_REQUEST' })
})

test('durability in memory acknowledges and reads the same', async (t) => {
  const ledger = await openOne(t, { durability: 'memory' })
  const { index } = await ledger.append(Buffer.from('quick'))
  await ledger.readIndex()
  assert.equal(text(await ledger.get(index)), 'quick')
})

test('entries of every length are read from memory and from files, one by one and in a run', async (t) => {
  const options = {
    directory: directoryOf(t),
    minimumFreeBytes: 1,
    segmentBytes: 512 * 1024,
    maxEntryBytes: 300 * 1024,
  }
  const random = seededRandom(11)
  const bodies = Array.from({ length: 120 }, (_, at) => {
    const longest = at % 10 === 0 ? 290 * 1024 : at % 3 === 0 ? 5_000 : 60
    return Buffer.alloc(Math.floor(random() * longest), at)
  })
  const first = await openLedger(options)
  const places = await Promise.all(bodies.map((body) => first.append(body)))
  const check = async (ledger: Ledger): Promise<void> => {
    const read = await all(ledger.read({ index: 0 }, { untilIndex: places.at(-1)?.index ?? 0 }))
    assert.deepEqual(
      read.map(({ index, position }) => ({ index, position })),
      places.map(({ index, position }) => ({ index, position })),
    )
    for (const [at, { index, position }] of places.entries()) {
      const body = bodies[at] as Buffer
      assert.ok(Buffer.from(read[at]?.body ?? []).equals(body))
      assert.ok(Buffer.from((await ledger.get(index))?.body ?? []).equals(body), `${index}`)
      const from = ledger.read({ position: position + (at % 48) }, { untilIndex: index })
      assert.deepEqual(
        (await all(from)).map((entry) => entry.index),
        [index],
      )
    }
  }
  await check(first)
  await first.close()
  const again = await openLedger(options)
  t.after(() => again.close())
  await check(again)
})
