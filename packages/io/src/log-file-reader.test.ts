import assert from 'node:assert/strict'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import fc from 'fast-check'
import { NodeDisk } from './disk-node.ts'
import { LogFileReader, type StoreConfig } from './index.ts'
import { StoreFake } from './store-fake.ts'

async function filled(
  t: { after(clean: () => Promise<void>): void },
  bodies: readonly number[],
): Promise<{ config: StoreConfig; ends: number[]; reader: LogFileReader }> {
  const rootDirectory = await mkdtemp(join(tmpdir(), 'ringledger-reader-'))
  t.after(() => rm(rootDirectory, { recursive: true, force: true }))
  const config = {
    rootDirectory,
    selfId: 'n0',
    segmentBytes: 4096,
    indexSegmentBytes: 32 * 16,
    minimumFreeBytes: 1,
    zeroAheadBytes: 0,
  }
  const seam = new StoreFake(config, new NodeDisk())
  const ends: number[] = []
  for (const bodyBytes of bodies) {
    seam.append(1, 1, bodyBytes)
    ends.push(seam.core.end.position)
    seam.settle()
  }
  seam.close()
  const reader = new LogFileReader(config)
  t.after(async () => reader.close())
  return { config, ends, reader }
}

test('ranges end at the last entry that fits, and hold at least one', async (t) => {
  const bodies = Array.from({ length: 120 }, (_, i) => (i * 373) % 1900)
  const { ends, reader } = await filled(t, bodies)
  const starts = [0, ...ends.slice(0, -1)]
  fc.assert(
    fc.property(fc.nat(119), fc.integer({ min: 1, max: 20_000 }), (index, maxBytes) => {
      const from = starts[index]!
      const fitting = ends.filter((end) => end > from && end <= from + maxBytes)
      const end = fitting.at(-1) ?? ends[index]!
      assert.equal(reader.rangeEnd(from, maxBytes), end)
      const range = reader.range(from, end, 1_000_000)
      assert.deepEqual(range, { endPosition: end, lastIndex: ends.indexOf(end) })
    }),
  )
  assert.throws(
    () => reader.rangeEnd(ends.at(-1)!, 100),
    (error) => error instanceof LedgerError && error.code === 'BAD_REQUEST',
  )
})

test('a position belongs to its entry, a filler to the entry behind it', async (t) => {
  const { ends, reader } = await filled(t, [100, 3500, 3500, 10])
  const [first, second, third] = ends as [number, number, number, number]
  assert.equal(reader.indexOfPosition(0), 0)
  assert.equal(reader.indexOfPosition(first - 1), 0)
  assert.equal(reader.indexOfPosition(first), 1)
  assert.equal(reader.entryPositionOfIndex(2), 4096)
  assert.equal(reader.indexOfPosition(second), 2)
  assert.equal(reader.indexOfPosition(4095), 2)
  assert.equal(reader.indexOfPosition(third), 3)
  assert.equal(reader.indexOfPosition(ends[3]!), -1)
  assert.equal(reader.entryPositionOfIndex(4), -1)
})

test('bytes read in both ways are the same, across segments', async (t) => {
  const { ends, reader } = await filled(
    t,
    Array.from({ length: 60 }, () => 1500),
  )
  const end = ends.at(-1)!
  const whole = Buffer.alloc(end)
  assert.equal(reader.read(0, whole, 0, end), end)
  const reads = Array.from({ length: 40 }, async (_, i) => {
    const from = (i * 7919) % (end - 9000)
    const part = Buffer.alloc(9000)
    await reader.readAsync(from, from + part.length, part)
    assert.ok(part.equals(whole.subarray(from, from + part.length)))
  })
  await Promise.all(reads)
  await assert.rejects(reader.readAsync(end, end + 100_000, Buffer.alloc(100_000)), LedgerError)
  assert.equal(reader.read(end + 100_000, whole, 0, 10), 0)
})

test('no byte of whole entries is given out that is not as it was written', async (t) => {
  const { config, ends, reader } = await filled(t, [100, 3500, 300, 1500, 2000, 10])
  const end = ends.at(-1)!
  const whole = Buffer.alloc(end)
  await reader.readEntriesAsync(0, end, whole)
  const told: number[] = []
  const checking = new LogFileReader(config, undefined, (position) => told.push(position))
  t.after(async () => checking.close())
  for (let at = 0; at < end; at += 7) {
    const base = at - (at % 4096)
    const path = join(config.rootDirectory, 'dledger-n0', 'data', String(base).padStart(20, '0'))
    const file = await open(path, 'r+')
    await file.write(Buffer.from([whole[at]! ^ (1 << (at % 8))]), 0, 1, at - base)
    const damaged = { name: 'LedgerError', code: 'CORRUPT' }
    await assert.rejects(
      checking.readEntriesAsync(0, end, Buffer.alloc(end)),
      damaged,
      `byte ${at}`,
    )
    assert.ok(told.pop()! <= at, 'the place is told')
    await file.write(whole, at, 1, at - base)
    await file.close()
  }
})
