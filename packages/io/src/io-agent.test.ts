import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import { fileNameOfOffset, INDEX_UNIT_BYTES } from '@ringledger/protocol'
import type { StoreConfig } from './config.ts'
import { FakeDisk } from './disk-fake.ts'
import { LogFileReader } from './log-file-reader.ts'
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
const DATA = '/r/dledger-n0/data/00000000000000000000'

function kinds(heard: readonly { kind: string }[]): string[] {
  return heard.map((event) => event.kind)
}

test('what gathered is one group: one write and one sync, whatever the number of commands', () => {
  const disk = new FakeDisk(seededRandom(1))
  const seam = new StoreFake(CONFIG, disk)
  seam.append(1)
  seam.settle()
  const calls: string[] = []
  disk.trace = (operation, path) => calls.push(`${operation} ${path.split('/').at(-2)}`)
  for (let i = 0; i < 5; i++) {
    seam.append(2)
    seam.client.flush()
  }
  const heard = seam.settle()
  assert.deepEqual(heard, [{ kind: 'durable', position: seam.core.end.position }])
  assert.deepEqual(calls, ['write data', 'fdatasync data', 'write index'])
})

test('a group over a segment border is two writes and two syncs', () => {
  const disk = new FakeDisk(seededRandom(1))
  const seam = new StoreFake(CONFIG, disk)
  seam.append(28)
  seam.settle()
  const writes: string[] = []
  disk.trace = (operation, path) => {
    if (path.includes('/data/') && operation !== 'read') writes.push(operation)
  }
  seam.append(8)
  seam.settle()
  assert.deepEqual(writes, [
    'write',
    'open',
    'truncate',
    'fsync',
    'write',
    'fdatasync',
    'fdatasync',
  ])
})

test('the first failed sync latches: nothing is written again and the file is named', () => {
  const disk = new FakeDisk(seededRandom(2))
  const seam = new StoreFake(CONFIG, disk)
  seam.append(3)
  seam.settle()
  const durable = seam.core.arena.durable
  disk.failOn({ operation: 'fdatasync', path: '/data/', errno: 'EIO' })
  seam.append(3)
  const heard = seam.settle()
  assert.deepEqual(kinds(heard), ['failed'])
  assert.ok(heard[0]?.kind === 'failed' && heard[0].file === DATA)
  assert.match(heard[0]?.kind === 'failed' ? heard[0].error : '', /fdatasync of .* EIO/)
  const before = disk.content(DATA)
  seam.append(3)
  seam.client.saveHardState({ term: 9, votedFor: null }, 1)
  seam.client.truncate(0, 2)
  seam.clock.advance(60_000)
  assert.deepEqual(seam.settle(), [])
  assert.equal(seam.core.arena.durable, durable)
  assert.ok(disk.content(DATA).equals(before), 'the file is as it was')
  seam.close()
})

test('a failed save of term and vote is never answered', () => {
  const disk = new FakeDisk(seededRandom(2))
  const seam = new StoreFake(CONFIG, disk)
  disk.failOn({ operation: 'fdatasync', path: 'hardstate', errno: 'EIO' })
  seam.client.saveHardState({ term: 1, votedFor: 'n0' }, 1)
  assert.deepEqual(kinds(seam.settle()), ['failed'])
})

test('a full disk is no failure: what was accepted is written when space returns', () => {
  const disk = new FakeDisk(seededRandom(3))
  const seam = new StoreFake(CONFIG, disk)
  seam.append(3)
  seam.settle()
  disk.capacityBytes = disk.usedBytes + 1024
  seam.append(10)
  assert.deepEqual(kinds(seam.settle()), ['full'])
  seam.client.saveHardState({ term: 4, votedFor: 'n1' }, 7)
  assert.deepEqual(seam.settle(), [{ kind: 'saved', id: 7 }], 'a vote does not wait for space')
  seam.clock.advance(1000)
  assert.deepEqual(seam.settle(), [], 'still full')
  disk.capacityBytes = Number.POSITIVE_INFINITY
  seam.clock.advance(1000)
  assert.deepEqual(kinds(seam.settle()), ['ok', 'durable'])
  seam.close()
  const again = new StoreFake(CONFIG, disk)
  assert.equal(again.recovered.tail.lastIndex, 12)
  assert.deepEqual(again.recovered.hardState, { term: 4, votedFor: 'n1' })
})

test('scarce space is told before anything fails', () => {
  const disk = new FakeDisk(seededRandom(3))
  const needed = 32 * 1024 ** 2
  disk.capacityBytes = 4 * needed
  const seam = new StoreFake({ ...CONFIG, minimumFreeBytes: needed }, disk)
  assert.deepEqual(seam.settle(), [])
  disk.capacityBytes = needed
  seam.clock.advance(10_000)
  assert.deepEqual(kinds(seam.settle()), ['full'])
  seam.append(10)
  assert.deepEqual(kinds(seam.settle()), ['durable'], 'what was accepted is written')
  disk.capacityBytes = 4 * needed
  seam.clock.advance(10_000)
  assert.deepEqual(kinds(seam.settle()), ['ok'])
})

test('a disk that others filled is full by its ratio, and until it is well below', () => {
  const disk = new FakeDisk(seededRandom(3))
  const seam = new StoreFake({ ...CONFIG, fullAboveRatio: 0.9, fullUntilRatio: 0.85 }, disk)
  const told = [0.9, 0.91, 0.86, 0.85, 0.9].map((ratio) => {
    disk.shownUsedRatio = ratio
    seam.clock.advance(10_000)
    return kinds(seam.settle())
  })
  assert.deepEqual(told, [[], ['full'], [], ['ok'], []])
})

test('a cut while the disk is full frees the writes that it makes void', () => {
  const disk = new FakeDisk(seededRandom(4))
  const seam = new StoreFake(CONFIG, disk)
  seam.append(5)
  seam.settle()
  const reader = new LogFileReader(CONFIG, disk)
  const cutAt = reader.entryPositionOfIndex(3)
  disk.capacityBytes = disk.usedBytes
  seam.append(20)
  assert.deepEqual(kinds(seam.settle()), ['full'])
  seam.client.truncate(cutAt, 3)
  const heard = seam.settle()
  assert.deepEqual(kinds(heard), ['truncated'])
  assert.ok(heard[0]?.kind === 'truncated' && heard[0].end.lastIndex === 2)
})

test('a durable position from before a cut is not told after it was asked for', () => {
  const disk = new FakeDisk(seededRandom(5))
  const seam = new StoreFake(CONFIG, disk)
  seam.append(4)
  seam.settle()
  const reader = new LogFileReader(CONFIG, disk)
  const cutAt = reader.entryPositionOfIndex(2)
  seam.append(6)
  seam.client.truncate(cutAt, 1)
  assert.deepEqual(kinds(seam.settle()), ['truncated'])
  assert.equal(seam.core.arena.durable, cutAt)
})

test('commands beyond the ring wait in order and none is lost', () => {
  const disk = new FakeDisk(seededRandom(6))
  const seam = new StoreFake(CONFIG, disk)
  for (let term = 1; term <= 400; term++) {
    seam.client.saveHardState({ term, votedFor: `${'member'.repeat(30)}${term}` }, term)
    if (term % 40 === 0) seam.append(1)
  }
  const saved = seam.settle().filter((event) => event.kind === 'saved')
  assert.deepEqual(
    saved.map((event) => event.id),
    Array.from({ length: 400 }, (_, i) => i + 1),
  )
  assert.equal(seam.core.arena.durable, seam.core.end.position)
})

test('segments below the commit are deleted on request, and the log still opens', () => {
  const disk = new FakeDisk(seededRandom(7))
  const seam = new StoreFake(CONFIG, disk)
  for (let i = 0; i < 10; i++) {
    seam.append(20, 1 + Math.floor(i / 4))
    seam.settle()
  }
  seam.client.checkpoint(seam.core.end.position, seam.core.end.index)
  seam.client.removeBelow(3 * 16 * 1024 + 5)
  const heard = seam.settle()
  const first = heard.find((event) => event.kind === 'removed')
  assert.ok(first !== undefined && first.firstPosition === 3 * 16 * 1024 && first.firstIndex > 64)
  seam.agent.duty()
  disk.kill()
  const again = new StoreFake(CONFIG, disk)
  assert.equal(again.recovered.tail.firstPosition, first.firstPosition)
  assert.equal(again.recovered.tail.firstIndex, first.firstIndex)
  assert.equal(again.recovered.tail.lastIndex, 199)
  assert.equal(again.recovered.tail.spans[0]?.firstIndex, first.firstIndex)
  const reader = new LogFileReader(CONFIG, disk)
  assert.equal(reader.indexOfPosition(first.firstPosition), first.firstIndex)
  assert.equal(reader.indexOfPosition(first.firstPosition - 1), -1)
})

test('the first index is right behind deleted segments, whichever index unit is damaged', () => {
  for (let index = 0; index < 100; index++) {
    const disk = new FakeDisk(seededRandom(7))
    const seam = new StoreFake(CONFIG, disk)
    for (let i = 0; i < 5; i++) {
      seam.append(20)
      seam.settle()
    }
    seam.client.checkpoint(seam.core.end.position, seam.core.end.index)
    const unitAt = index * INDEX_UNIT_BYTES
    const inFile = unitAt % CONFIG.indexSegmentBytes!
    const path = `/r/dledger-n0/index/${fileNameOfOffset(unitAt - inFile)}`
    disk.flipBit(path, inFile + 8, 3)
    seam.client.removeBelow(2 * 16 * 1024)
    const first = seam.settle().find((event) => event.kind === 'removed')
    assert.equal(first?.firstIndex, 58, `unit ${index}`)
  }
})

test('space is zeroed ahead while nothing else waits, one segment ahead at most', () => {
  const disk = new FakeDisk(seededRandom(8))
  const config = { ...CONFIG, zeroAheadBytes: 1024 ** 2 }
  const seam = new StoreFake(config, disk)
  seam.settle()
  const segments = (): number => disk.list('/r/dledger-n0/data').length
  assert.ok(disk.usedBytes >= CONFIG.segmentBytes!, 'the first segment takes its space')
  for (let i = 0; i < 20; i++) {
    seam.append(5)
    seam.settle()
    const inUse = Math.floor(seam.core.end.position / CONFIG.segmentBytes!) + 1
    assert.ok(segments() <= inUse + 1)
  }
  const synced: string[] = []
  disk.trace = (operation, path) => {
    if (path.includes('/data/') && operation !== 'read') synced.push(operation)
  }
  seam.settle()
  assert.deepEqual(synced, [], 'at rest nothing is written')
})
