import assert from 'node:assert/strict'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freePorts } from './group-fake.ts'
import { type Ledger, type LedgerOptions, openLedger, type TrimmedError } from './index.ts'

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-faults-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function open(t: TestContext, options: LedgerOptions): Promise<Ledger> {
  const ledger = await openLedger({ minimumFreeBytes: 1, ...options })
  t.after(() => ledger.close())
  return ledger
}

async function indexes(ledger: Ledger, index: number): Promise<number[]> {
  const found: number[] = []
  for await (const entry of ledger.read({ index })) found.push(entry.index)
  return found
}

test('options that cannot work are refused by name', async (t) => {
  const directory = directoryOf(t)
  const members = [
    { id: 'n0', host: '127.0.0.1', port: 1 },
    { id: 'n1', host: '127.0.0.1', port: 2 },
  ]
  const bad: [Partial<LedgerOptions>, RegExp][] = [
    [{ directory: '' }, /directory/],
    [{ selfId: 'a/b' }, /selfId/],
    [{ selfId: 'n7', members }, /n7/],
    [{ members: [members[0]!, members[0]!] }, /must differ/],
    [{ members: [{ ...members[0]!, port: 0 }, members[1]!] }, /port of member n0/],
    [{ preferredLeaderId: 'n7', members }, /preferredLeaderId/],
    [{ electionTimeoutMs: 10 }, /electionTimeoutMs/],
    [{ electionTimeoutMs: 400, heartbeatIntervalMs: 300 }, /heartbeatIntervalMs/],
    [{ segmentBytes: 100 }, /segmentBytes/],
    [{ maxEntryBytes: 1.5 }, /maxEntryBytes/],
    [{ arenaBytes: -1 }, /arenaBytes/],
  ]
  for (const [options, message] of bad) {
    await assert.rejects(openLedger({ directory, ...options }), { code: 'BAD_CONFIG', message })
  }
})

test('a busy port is said so, and the store is free again afterwards', async (t) => {
  const directory = directoryOf(t)
  const [port = 0, other = 0] = await freePorts(2)
  const members = [
    { id: 'n0', host: '127.0.0.1', port },
    { id: 'n1', host: '127.0.0.1', port: other },
  ]
  const owner = createServer().listen(port, '127.0.0.1')
  await new Promise((resolve) => owner.once('listening', resolve))
  await assert.rejects(openLedger({ directory, members }), { code: 'PORT_BUSY' })
  await new Promise((resolve) => owner.close(resolve))
  const ledger = await open(t, { directory, members })
  assert.equal(ledger.status().leaderId, undefined)
})

test('a directory belongs to one ledger, and keeps its segment length', async (t) => {
  const directory = directoryOf(t)
  const ledger = await open(t, { directory, segmentBytes: 64 * 1024 })
  await assert.rejects(openLedger({ directory }), { code: 'BAD_REQUEST', message: /in use/ })
  await ledger.append(Buffer.from('a'))
  await ledger.close()
  await assert.rejects(openLedger({ directory, segmentBytes: 128 * 1024 }), { code: 'BAD_CONFIG' })
  const again = await open(t, { directory, segmentBytes: 64 * 1024 })
  assert.deepEqual(await indexes(again, 0), [1])
})

test('term and vote that are not readable keep the ledger shut', async (t) => {
  const directory = directoryOf(t)
  const ledger = await open(t, { directory })
  await ledger.close()
  writeFileSync(join(directory, 'dledger-n0', 'ringledger-hardstate'), Buffer.alloc(8192))
  await assert.rejects(openLedger({ directory }), { code: 'CORRUPT' })
})

test('a bit that flipped in a file is never given out', async (t) => {
  const directory = directoryOf(t)
  const segmentBytes = 64 * 1024
  const ledger = await open(t, { directory, segmentBytes })
  const bodies = Array.from({ length: 300 }, (_, at) => Buffer.alloc(1000, at))
  const places = await Promise.all(bodies.map((body) => ledger.append(body)))
  await ledger.close()
  const victim = places[10]!
  const file = openSync(join(directory, 'dledger-n0', 'data', '0'.repeat(20)), 'r+')
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, victim.position + 48 + 500)
  writeSync(file, Buffer.from([byte[0]! ^ 4]), 0, 1, victim.position + 48 + 500)
  closeSync(file)
  // Behind the resume mark: the start does not look there.
  const again = await open(t, { directory, segmentBytes })
  const damaged = { code: 'CORRUPT', message: /damaged at position \d+ \(bodyCrc\)/ }
  await assert.rejects(again.get(victim.index), damaged)
  const seen: number[] = []
  const reading = (async () => {
    for await (const { index } of again.read({ index: 1 })) seen.push(index)
  })()
  await assert.rejects(reading, damaged)
  assert.deepEqual(
    seen,
    places.slice(0, 10).map(({ index }) => index),
  )
  assert.deepEqual((await indexes(again, victim.index + 1)).length, 289)
})

test('a full disk refuses appends with its cause, reads go on', async (t) => {
  const directory = directoryOf(t)
  const first = await open(t, { directory })
  await first.append(Buffer.from('kept'))
  await first.close()
  const full = await openLedger({ directory, minimumFreeBytes: Number.MAX_SAFE_INTEGER })
  t.after(() => full.close())
  const seen = new Promise<boolean>((resolve) => full.subscribe({ onDiskFull: resolve }))
  if (full.status().disk !== 'full') assert.equal(await seen, true)
  await assert.rejects(full.append(Buffer.from('no')), { code: 'DISK_FULL', mayCommit: false })
  assert.equal(full.status().disk, 'full')
  await full.readIndex()
  assert.deepEqual(await indexes(full, 0), [1])
})

test('a failed disk halts the node: what is under way may commit, nothing more is taken', async (t) => {
  const directory = directoryOf(t)
  const ledger = await open(t, { directory, segmentBytes: 4096, maxEntryBytes: 2048 })
  await ledger.append(Buffer.alloc(1500))
  const halted = new Promise<string>((resolve) => ledger.subscribe({ onHalted: resolve }))
  // The next segment cannot be made.
  rmSync(join(directory, 'dledger-n0', 'data'), { recursive: true })
  await ledger.append(Buffer.alloc(1500))
  await assert.rejects(ledger.append(Buffer.alloc(1500)), { code: 'HALTED', mayCommit: true })
  assert.match(await halted, /data/)
  const { role, failure, disk } = ledger.status()
  assert.deepEqual([role, disk], ['halted', 'failed'])
  assert.match(failure?.file ?? '', /00000000000000004096/)
  await assert.rejects(ledger.append(Buffer.alloc(1)), { code: 'HALTED', mayCommit: false })
  await assert.rejects(ledger.readIndex(), { code: 'HALTED' })
  await assert.rejects(ledger.trimPrefix(0), { code: 'HALTED' })
})

test('who reads what is being trimmed is told so, or gets it whole', async (t) => {
  const options = { directory: directoryOf(t), segmentBytes: 16 * 1024, maxEntryBytes: 4096 }
  const first = await open(t, options)
  await Promise.all(Array.from({ length: 400 }, (_, at) => first.append(Buffer.alloc(1000, at))))
  await first.close()
  // Opened anew, so that everything is read from files.
  const ledger = await open(t, options)
  let done = false
  const readers = Array.from({ length: 4 }, async (_, reader) => {
    while (!done) {
      try {
        for await (const { index, body } of ledger.read({ index: 1 + reader })) {
          assert.equal(body[0], (index - 1) & 0xff)
        }
      } catch (error) {
        assert.equal((error as TrimmedError).code, 'TRIMMED')
      }
      const index = 1 + Math.floor(Math.random() * 400)
      const found = await ledger.get(index).catch((error: TrimmedError) => error.code)
      if (typeof found === 'object') assert.equal(found.body[0], (index - 1) & 0xff)
      else assert.equal(found, 'TRIMMED')
    }
  })
  const trims = (async () => {
    for (let index = 10; index <= 400; index += 10) await ledger.trimPrefix(index)
    done = true
  })()
  await Promise.all([trims, ...readers])
  assert.ok(ledger.status().first.index > 370)
})

test('a trimmed prefix is gone, whole segments at a time, and stays so', async (t) => {
  const directory = directoryOf(t)
  const options = { directory, segmentBytes: 16 * 1024, maxEntryBytes: 4096 }
  const ledger = await open(t, options)
  const bodies = Array.from({ length: 100 }, (_, at) => Buffer.alloc(1000, at))
  await Promise.all(bodies.map((body) => ledger.append(body)))
  assert.deepEqual(await ledger.trimPrefix(5), { firstIndex: 0 })
  const { firstIndex } = await ledger.trimPrefix(60)
  assert.ok(firstIndex > 40 && firstIndex <= 61, `${firstIndex}`)
  const trimmed = (error: unknown): boolean => {
    const { code, firstIndex: first } = error as TrimmedError
    return code === 'TRIMMED' && first === firstIndex
  }
  await assert.rejects(ledger.get(firstIndex - 1), trimmed)
  await assert.rejects(indexes(ledger, 0), trimmed)
  await assert.rejects(
    (async () => {
      for await (const _ of ledger.read({ position: 0 })) assert.fail('nothing is there')
    })(),
    trimmed,
  )
  assert.equal((await indexes(ledger, firstIndex)).length, 101 - firstIndex)
  assert.equal(ledger.status().first.index, firstIndex)
  await assert.rejects(ledger.trimPrefix(101), { code: 'BAD_REQUEST' })
  await ledger.close()
  const again = await open(t, options)
  assert.equal(again.status().first.index, firstIndex)
  assert.equal((await indexes(again, firstIndex)).length, 101 - firstIndex)
  await assert.rejects(again.get(firstIndex - 1), trimmed)
  await again.append(Buffer.from('on'))
  const { index } = await again.readIndex()
  const { firstIndex: last } = await again.trimPrefix(index)
  assert.ok(last > firstIndex)
})
