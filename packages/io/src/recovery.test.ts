import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LedgerError, seededRandom } from '@ringledger/base'
import { writeEntryHeader, writeIndexUnit } from '@ringledger/protocol'
import fc from 'fast-check'
import type { StoreConfig } from './config.ts'
import { OpenMode } from './disk.ts'
import { FakeDisk } from './disk-fake.ts'
import { LogFileReader } from './log-file-reader.ts'
import { openStore } from './recovery.ts'
import { StoreFake } from './store-fake.ts'

const CONFIG: StoreConfig = {
  rootDirectory: '/r',
  selfId: 'n0',
  segmentBytes: 16 * 1024,
  indexSegmentBytes: 32 * 64,
  minimumFreeBytes: 1,
  zeroAheadBytes: 0,
  markEveryBytes: 1024 ** 2,
}
const HOME = '/r/dledger-n0'

/** A store with `count` entries of 548 bytes that was killed, not closed. */
function killedStore(count: number): { disk: FakeDisk; seam: StoreFake; reader: LogFileReader } {
  const disk = new FakeDisk(seededRandom(count))
  const seam = new StoreFake(CONFIG, disk)
  for (let left = count; left > 0; left -= 10) {
    seam.append(Math.min(left, 10))
    seam.settle()
  }
  disk.kill()
  return { disk, seam, reader: new LogFileReader(CONFIG, disk) }
}

function segmentPath(position: number): string {
  const base = position - (position % CONFIG.segmentBytes!)
  return `${HOME}/data/${String(base).padStart(20, '0')}`
}

function rot(disk: FakeDisk, position: number): void {
  disk.flipBit(segmentPath(position), position % CONFIG.segmentBytes!, 3)
}

function refuses(disk: FakeDisk, pattern: RegExp): void {
  assert.throws(
    () => openStore(CONFIG, disk),
    (error) =>
      error instanceof LedgerError && error.code === 'CORRUPT' && pattern.test(error.message),
  )
}

test('a log behind a plain one begins where that ends, and its first entry opens the chain', () => {
  const config = { ...CONFIG, beginsAt: 3 * CONFIG.segmentBytes! }
  const disk = new FakeDisk(seededRandom(7))
  assert.deepEqual(openEmpty(config, disk), { firstPosition: config.beginsAt, firstIndex: 0 })
  disk.kill()
  const seam = new StoreFake(config, disk)
  assert.equal(seam.recovered.lastChainCrc, 0)
  seam.append(40)
  seam.settle()
  disk.kill()
  const { recovered } = openStore(config, disk)
  assert.equal(recovered.tail.firstPosition, config.beginsAt)
  assert.equal(recovered.tail.lastIndex, 39)
  assert.deepEqual(recovered.damage, [])
  assert.ok(disk.exists(segmentPath(config.beginsAt)))
  assert.ok(!disk.exists(segmentPath(0)))
})

function openEmpty(
  config: StoreConfig,
  disk: FakeDisk,
): { firstPosition: number; firstIndex: number } {
  const { firstPosition, firstIndex, endPosition } = openStore(config, disk).recovered.tail
  assert.equal(endPosition, firstPosition)
  return { firstPosition, firstIndex }
}

test('a new store is empty and begins at 0', () => {
  const { recovered } = openStore(CONFIG, new FakeDisk(seededRandom(1)))
  assert.deepEqual(recovered.tail, {
    firstPosition: 0,
    firstIndex: 0,
    endPosition: 0,
    lastIndex: -1,
    lastTerm: -1,
    spans: [],
  })
  assert.equal(recovered.lastChainCrc, 0)
  assert.equal(recovered.cleanShutdown, false)
  assert.deepEqual(recovered.hardState, { term: 0, votedFor: null })
})

test('an orderly end is known, and the next start scans nothing', () => {
  const { disk } = killedStore(50)
  new StoreFake(CONFIG, disk).close()
  const { recovered } = openStore(CONFIG, disk)
  assert.equal(recovered.cleanShutdown, true)
  assert.deepEqual(recovered.report, [])
  assert.equal(recovered.tail.lastIndex, 49)
})

test('a rotten entry amid acknowledged data is a hole in the log, and nothing is changed', () => {
  const { disk, reader } = killedStore(60)
  const position = reader.entryPositionOfIndex(30)
  rot(disk, position + 100)
  const before = disk.content(segmentPath(position))
  const { recovered } = openStore(CONFIG, disk)
  const bounds = { previousEndPosition: position, position, endPosition: position + 548 }
  assert.deepEqual(recovered.holes, [{ ...bounds, index: 30, term: 1, reason: 'bodyCrc' }])
  assert.equal(recovered.tail.lastIndex, 59)
  assert.ok(disk.content(segmentPath(position)).equals(before), 'the file is as it was')
})

test('what is sound before a damaged entry that opens a segment ends before the filler', () => {
  const { disk, reader } = killedStore(60)
  const opening = [29, 58]
  const before = opening.map((index) => reader.entryPositionOfIndex(index - 1) + 548)
  const entries = opening.map((index) => {
    const position = reader.entryPositionOfIndex(index)
    assert.equal(position % CONFIG.segmentBytes!, 0, 'it opens a segment')
    const file = disk.content(segmentPath(position))
    rot(disk, position + 100)
    return { position, bytes: file.subarray(0, 548) }
  })
  const seam = new StoreFake(CONFIG, disk)
  assert.deepEqual(
    seam.recovered.holes.map((hole) => hole.previousEndPosition),
    before,
  )
  assert.equal(seam.store.holes.soundPosition, before[0])
  const sound = entries.map(({ position, bytes }) => {
    seam.client.repair(position, bytes)
    return seam.settle()
  })
  assert.deepEqual(sound, [
    [{ kind: 'repaired', soundPosition: before[1], refusal: '' }],
    [{ kind: 'repaired', soundPosition: Number.POSITIVE_INFINITY, refusal: '' }],
  ])
})

test('the last acknowledged entry is not taken for a torn tail', () => {
  const { disk, reader } = killedStore(60)
  rot(disk, reader.entryPositionOfIndex(59) + 100)
  const { recovered } = openStore(CONFIG, disk)
  assert.equal(recovered.tail.lastIndex, 59)
  assert.equal(recovered.holes[0]?.index, 59)
  assert.equal(recovered.lastChainCrc, -1)
})

test('rot below the resume mark is found when the mark no longer fits', () => {
  const { disk, reader } = killedStore(60)
  new StoreFake(CONFIG, disk).close()
  rot(disk, reader.entryPositionOfIndex(59) + 20)
  assert.equal(openStore(CONFIG, disk).recovered.holes[0]?.index, 59)
})

test('damage whose bounds nothing tells stops the node, and nothing is changed', () => {
  const { disk, reader } = killedStore(60)
  const position = reader.entryPositionOfIndex(30)
  rot(disk, position + 100)
  const index = disk.open(`${HOME}/index/00000000000000000000`, OpenMode.WRITE)
  index.writeAt(Buffer.alloc(32 * 3), 0, 32 * 3, 30 * 32)
  index.close()
  const before = disk.content(segmentPath(position))
  refuses(disk, /entry 30 at position \d+ was acknowledged .*bodyCrc/)
  assert.ok(disk.content(segmentPath(position)).equals(before), 'the file is as it was')
})

test('a tail without index units is cut, reported and zeroed', () => {
  const { disk, reader } = killedStore(60)
  const position = reader.entryPositionOfIndex(55)
  const index = disk.open(`${HOME}/index/00000000000000000000`, OpenMode.WRITE)
  index.writeAt(Buffer.alloc(32 * 5), 0, 32 * 5, 55 * 32)
  index.close()
  rot(disk, position + 60)
  const { store, recovered } = openStore(CONFIG, disk)
  assert.equal(recovered.tail.lastIndex, 54)
  assert.deepEqual(recovered.damage, [{ position, index: 55, reason: 'bodyCrc' }])
  store.abandon()
  const rest = Buffer.alloc(4096)
  reader.forget(0)
  reader.read(recovered.tail.endPosition, rest, 0, rest.length)
  assert.ok(rest.equals(Buffer.alloc(rest.length)), 'the cut bytes are gone')
})

test('missing segments and foreign files are refused', () => {
  const { disk } = killedStore(60)
  disk.remove(segmentPath(16 * 1024))
  refuses(disk, /entry 29|files are missing|is not readable/)
  const other = killedStore(10)
  other.disk.open(`${HOME}/data/notes.txt`, OpenMode.CREATE).close()
  refuses(other.disk, /notes\.txt/)
})

test('a lost index is built anew from the data', () => {
  const { disk, reader } = killedStore(150)
  new StoreFake(CONFIG, disk).close()
  for (const name of disk.list(`${HOME}/index`)) disk.remove(`${HOME}/index/${name}`)
  const { recovered } = openStore(CONFIG, disk)
  assert.equal(recovered.tail.lastIndex, 149)
  reader.forget(0)
  for (let index = 0; index < 150; index++) {
    assert.ok(reader.entryPositionOfIndex(index) >= index * 548)
  }
})

test('a rotten index unit that a span needs has the index built anew', () => {
  const { disk } = killedStore(150)
  new StoreFake(CONFIG, disk).close()
  disk.flipBit(`${HOME}/index/00000000000000002048`, 32 * 10 + 20, 1)
  const { recovered } = openStore(CONFIG, disk)
  assert.deepEqual(recovered.tail.spans, [{ term: 1, firstPosition: 0, firstIndex: 0 }])
  assert.equal(recovered.tail.lastIndex, 149)
})

test('a lost mark means a scan of everything, not a loss', () => {
  const { disk, seam } = killedStore(60)
  for (const slot of [0, 4096]) disk.flipBit(`${HOME}/ringledger-durable`, slot + 30, 0)
  const { recovered } = openStore(CONFIG, disk)
  assert.equal(recovered.tail.lastIndex, 59)
  assert.equal(recovered.lastChainCrc, seam.core.end.chainCrc)
  assert.match(recovered.report.join('\n'), /ringledger-durable is unreadable/)
})

test('one rotten copy of term and vote loses nothing, two stop the node', () => {
  for (const slot of [0, 4096]) {
    const disk = new FakeDisk(seededRandom(1))
    const seam = new StoreFake(CONFIG, disk)
    for (const term of [1, 2, 3]) seam.client.saveHardState({ term, votedFor: 'n2' }, term)
    seam.settle()
    disk.kill()
    disk.flipBit(`${HOME}/ringledger-hardstate`, slot + 26, 2)
    const { store, recovered } = openStore(CONFIG, disk)
    assert.deepEqual(recovered.hardState, { term: 3, votedFor: 'n2' })
    store.abandon()
    for (const both of [0, 4096]) disk.flipBit(`${HOME}/ringledger-hardstate`, both + 26, 2)
    refuses(disk, /term and vote/)
  }
})

test('a store whose term and vote were deleted does not start', () => {
  const { disk } = killedStore(5)
  disk.remove(`${HOME}/ringledger-hardstate`)
  refuses(disk, /term and vote/)
})

test('the vote of an Apache node that ran in between is believed', () => {
  const { disk } = killedStore(5)
  const file = disk.open(`${HOME}/currterm`, OpenMode.CREATE)
  const text = Buffer.from('voteLeader=n7\ncurrTerm=41\n')
  file.writeAt(text, 0, text.length, 0)
  file.close()
  const { recovered } = openStore(CONFIG, disk)
  assert.deepEqual(recovered.hardState, { term: 41, votedFor: 'n7' })
})

test('what is committed survives a start and never lies behind the end', () => {
  const disk = new FakeDisk(seededRandom(1))
  const seam = new StoreFake(CONFIG, disk)
  seam.append(10)
  seam.settle()
  const reader = new LogFileReader(CONFIG, disk)
  const committed = reader.entryPositionOfIndex(8)
  seam.client.checkpoint(committed, 7)
  seam.close()
  const again = new StoreFake(CONFIG, disk)
  assert.equal(again.recovered.committedPosition, committed)
  assert.equal(again.recovered.committedIndex, 7)
})

test('configurations that cannot be are refused', () => {
  const disk = new FakeDisk(seededRandom(1))
  const cases: Partial<StoreConfig>[] = [
    { selfId: 'n-0' },
    { selfId: '' },
    { segmentBytes: 10 },
    { segmentBytes: 4096.5 },
    { indexSegmentBytes: 33 },
  ]
  for (const change of cases) {
    assert.throws(
      () => openStore({ ...CONFIG, ...change }, disk),
      (error) => error instanceof LedgerError && error.code === 'BAD_CONFIG',
    )
  }
})

test('another segment size than the store was made with is refused', () => {
  const { disk } = killedStore(5)
  const other = { ...CONFIG, segmentBytes: 32 * 1024 }
  assert.throws(
    () => openStore(other, disk),
    (error) => error instanceof LedgerError && error.code === 'BAD_CONFIG',
  )
  disk.remove(`${HOME}/ringledger-durable`)
  assert.throws(() => openStore(other, disk), /has 16384 bytes, configured are 32768/)
})

/** Entries as Apache writes them: no checksums, index units beside them, garbage behind the end. */
function legacyStore(seed: number, count: number): FakeDisk {
  const disk = new FakeDisk(seededRandom(seed))
  disk.makeDirectory(`${HOME}/data`)
  disk.makeDirectory(`${HOME}/index`)
  const data = disk.open(segmentPath(0), OpenMode.CREATE)
  const bytes = Buffer.alloc(CONFIG.segmentBytes!)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const units = Buffer.alloc(CONFIG.indexSegmentBytes!)
  const unitView = new DataView(units.buffer, units.byteOffset, units.length)
  for (let index = 0; index < count; index++) {
    const position = index * 148
    writeEntryHeader(view, position, { index, term: 2, position, bodyBytes: 100 })
    bytes.fill(index, position + 48, position + 148)
    writeIndexUnit(unitView, index * 32, position, 148, index, 2)
  }
  bytes.fill(0xab, count * 148, count * 148 + 700)
  data.writeAt(bytes, 0, bytes.length, 0)
  data.syncMetadata()
  const table = disk.open(`${HOME}/index/00000000000000000000`, OpenMode.CREATE)
  table.writeAt(units, 0, units.length, 0)
  table.syncMetadata()
  for (const name of ['data', 'index']) disk.syncDirectory(`${HOME}/${name}`)
  return disk
}

test('a crash while a store of Apache is taken over loses nothing of it', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(60), (seed, changes) => {
      const disk = legacyStore(seed, 40)
      let left = changes
      disk.beforeChange = () => {
        if (left-- === 0) throw new Error('power lost')
      }
      try {
        openStore(CONFIG, disk).store.closeClean()
      } catch (error) {
        assert.match((error as Error).message, /power lost/)
      }
      disk.beforeChange = () => {}
      disk.crash()
      const { recovered } = openStore(CONFIG, disk)
      assert.equal(recovered.tail.lastIndex, 39)
      assert.equal(recovered.tail.endPosition, 40 * 148)
      assert.equal(recovered.tail.lastTerm, 2)
    }),
  )
})

test('what a failed sync left in the page cache is written anew by the next start', () => {
  const { disk, seam } = killedStore(0)
  const life = new StoreFake(CONFIG, disk)
  life.append(5)
  life.settle()
  disk.failOn({ operation: 'fdatasync', path: '/data/', errno: 'EIO' })
  life.append(5)
  assert.equal(life.settle().at(-1)?.kind, 'failed')
  disk.kill()
  const found = openStore(CONFIG, disk).recovered.tail.lastIndex
  assert.ok(found >= 4 && seam.recovered.tail.lastIndex === -1)
  disk.crash()
  assert.equal(openStore(CONFIG, disk).recovered.tail.lastIndex, found)
})

test('what a group left that met a full disk is gone once the log was cut before it', () => {
  const disk = new FakeDisk(seededRandom(3))
  const seam = new StoreFake(CONFIG, disk)
  seam.append(60)
  seam.settle()
  const { end } = seam.store
  disk.failOn({ operation: 'open', path: '/index/', errno: 'ENOSPC' })
  seam.append(10)
  assert.ok(seam.settle().some(({ kind }) => kind === 'full'))
  // Another leader's log goes on where the last group that was written ended.
  seam.client.truncate(end.position, 1)
  seam.settle()
  seam.core.cut(end)
  seam.append(1, 2, 100)
  seam.settle()
  disk.kill()
  assert.equal(openStore(CONFIG, disk).recovered.tail.lastIndex, 60)
})
