import assert from 'node:assert/strict'
import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import { fileNameOfOffset } from '@ringledger/protocol'
import fc from 'fast-check'
import { allocateRegion, regionBuffer } from 'sharedarraybuffer-ringbuffer'
import { DiskError, OpenMode } from './disk.ts'
import { NodeDisk } from './disk-node.ts'
import { BLOCKS_AROUND_BYTES, LogFileReader, type StoreConfig } from './index.ts'
import { StoreFake } from './store-fake.ts'

const ZEROS: Buffer = Buffer.alloc(512)

async function filled(
  t: { after(clean: () => Promise<void>): void },
  bodies: readonly number[],
  removedBelow = 0,
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
  if (removedBelow > 0) {
    seam.client.checkpoint(seam.core.end.position, seam.core.end.index)
    seam.client.removeBelow(removedBelow)
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

test('past the page cache or through it, the same entries are read, also just after a write', async (t) => {
  const { config, ends, reader } = await filled(
    t,
    Array.from({ length: 60 }, (_, i) => (i * 373) % 1900),
  )
  const end = ends.at(-1)!
  const whole = Buffer.alloc(end)
  reader.read(0, whole, 0, end)
  const modes: string[] = []
  const disk = new NodeDisk()
  const open = disk.open.bind(disk)
  disk.open = (path, mode) => {
    modes.push(mode)
    return open(path, mode)
  }
  const refusing = new NodeDisk()
  refusing.open = (path, mode) => {
    if (mode === OpenMode.READ_BLOCKS) throw new DiskError('open', path, 'EINVAL', 'refused')
    return open(path, mode)
  }
  for (const on of [disk, refusing]) {
    const past = new LogFileReader(config, on)
    t.after(async () => past.close())
    const starts = [0, ...ends.slice(0, -1)]
    for (let first = 0; first < starts.length; first += 3) {
      const from = starts[first]!
      const { endPosition } = past.range(from, end, 1 + ((first * 911) % 20_000))
      const target = regionBuffer(allocateRegion(endPosition - from + BLOCKS_AROUND_BYTES))
      const offset = await past.readEntriesPastCache(from, endPosition, target)
      const got = target.subarray(offset, offset + endPosition - from)
      assert.ok(got.equals(whole.subarray(from, endPosition)), `from ${from}`)
    }
  }
  assert.ok(modes.includes(OpenMode.READ_BLOCKS))
})

test('what is damaged is not given out past the page cache either', async (t) => {
  const { config, ends } = await filled(t, [100, 300, 500])
  const end = ends.at(-1)!
  const path = join(config.rootDirectory, 'dledger-n0', 'data', '0'.padStart(20, '0'))
  const file = await open(path, 'r+')
  await file.write(Buffer.from([0xff]), 0, 1, end - 1)
  await file.close()
  const reader = new LogFileReader(config)
  t.after(async () => reader.close())
  const target = regionBuffer(allocateRegion(end + BLOCKS_AROUND_BYTES))
  await assert.rejects(reader.readEntriesPastCache(0, end, target), { code: 'CORRUPT' })
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

/** Flips one bit of a file of the store, on disk. */
async function flip(config: StoreConfig, path: string, at: number): Promise<void> {
  const file = await open(join(config.rootDirectory, 'dledger-n0', path), 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  byte[0]! ^= 1 << (at % 8)
  await file.write(byte, 0, 1, at)
  await file.close()
}

/** What a reader is asked for; throws where it does not find what was written. */
function assertFound(reader: LogFileReader, ends: readonly number[], what: string): void {
  const starts = ends.map((_, index) => reader.entryPositionOfIndex(index))
  for (const [index, start] of starts.entries()) {
    const before = ends[index - 1] ?? 0
    assert.ok(start === before || (start > before && start % 4096 === 0), `${what}: entry ${index}`)
    assert.equal(reader.indexOfPosition(before), index, what)
    assert.equal(reader.indexOfPosition(ends[index]! - 1), index, what)
  }
  const end = ends.at(-1)!
  assert.equal(reader.entryPositionOfIndex(ends.length), -1, what)
  assert.equal(reader.indexOfPosition(end), -1, what)
  for (const from of [0, ...ends.slice(0, -1)]) {
    const range = reader.range(from, end, 3000)
    assert.equal(range.endPosition, ends[range.lastIndex], what)
    assert.ok(range.endPosition > from, what)
  }
}

test('a bit flipped anywhere in the index files changes no answer, and is told', async (t) => {
  const { config, ends } = await filled(t, [100, 3500, 300, 1500, 2000, 10, 20, 700, 4000, 30])
  for (let at = 0; at < ends.length * 32; at++) {
    const told: number[] = []
    const reader = new LogFileReader(config, undefined, (position) => told.push(position))
    await flip(config, 'index/00000000000000000000', at)
    const unit = Math.floor(at / 32)
    assertFound(reader, ends, `byte ${at}`)
    const start = reader.entryPositionOfIndex(unit)
    assert.ok(told.includes(start), `byte ${at}: the entry whose unit is damaged is told`)
    await flip(config, 'index/00000000000000000000', at)
    reader.close()
  }
})

test('a whole run of index units that is gone is made good from the entries', async (t) => {
  const bodies = Array.from({ length: 60 }, (_, i) => (i * 373) % 1900)
  const { config, ends, reader } = await filled(t, bodies)
  for (const name of ['00000000000000000000', '00000000000000000512']) {
    const file = await open(join(config.rootDirectory, 'dledger-n0', 'index', name), 'r+')
    await file.write(Buffer.alloc(512), 0, 512, 0)
    await file.close()
  }
  assertFound(reader, ends, 'the first two files')
})

test('a log whose index files were overwritten is read by its entries alone', async (t) => {
  const bodies = Array.from({ length: 700 }, (_, i) => i % 50)
  const { config, ends } = await filled(t, bodies)
  const directory = join(config.rootDirectory, 'dledger-n0', 'index')
  for (const name of await readdir(directory)) await writeFile(join(directory, name), ZEROS)
  const told: number[] = []
  const reader = new LogFileReader(config, undefined, (position) => told.push(position))
  t.after(async () => reader.close())
  for (let index = 0; index < 700; index += 53) {
    const position = reader.entryPositionOfIndex(index)
    assert.ok(position >= 0 && position < ends[index]!)
    assert.equal(reader.indexOfPosition(position), index)
    assert.equal(reader.indexOfPosition(ends[index]! - 1), index)
    const range = reader.range(ends[index - 1] ?? 0, ends[699]!, 100)
    assert.deepEqual(range, { endPosition: ends[index], lastIndex: index })
  }
  assert.ok(told.length > 0)
})

test('a log that lost its beginning to retention finds its first entry with one damage', async (t) => {
  const bodies = Array.from({ length: 40 }, (_, i) => (i * 373) % 1900)
  const { config, ends, reader } = await filled(t, bodies, 3 * 4096)
  const base = 3 * 4096
  const first = ends.findLastIndex((end) => end <= base) + 1
  const unitAt = (first % 16) * 32
  const unitFile = `index/${fileNameOfOffset(first * 32 - unitAt)}`
  const places = [
    ...Array.from({ length: 48 }, (_, at) => ({ path: `data/${fileNameOfOffset(base)}`, at })),
    ...Array.from({ length: 32 }, (_, at) => ({ path: unitFile, at: unitAt + at })),
  ]
  for (const { path, at } of places) {
    await flip(config, path, at)
    reader.forget(0)
    const what = `${path} byte ${at}`
    assert.equal(reader.indexOfPosition(base), first, what)
    assert.equal(reader.indexOfPosition(base - 1), -1, what)
    assert.equal(reader.entryPositionOfIndex(first), base, what)
    assert.equal(reader.indexOfPosition(ends[30]! - 1), 30, what)
    assert.equal(reader.range(base, ends[39]!, 1).lastIndex, first, what)
    await flip(config, path, at)
  }
})

test('a damaged first header misleads nobody, before and after its repair', async (t) => {
  const { config, ends } = await filled(t, [100, 3500, 300, 1500, 2000, 10])
  for (let at = 0; at < 48; at++) {
    const reader = new LogFileReader(config)
    await flip(config, 'data/00000000000000000000', at)
    assertFound(reader, ends, `byte ${at}`)
    await flip(config, 'data/00000000000000000000', at)
    assertFound(reader, ends, `byte ${at}, repaired`)
    reader.close()
  }
})
