/** The write path of a plain log: layout, group commit, lack of space, loss of power. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import { ClaimRefusal } from '@ringledger/consensus'
import { FakeDisk } from '@ringledger/io'
import {
  fileNameOfOffset,
  isPlainLogBlank,
  msgPhysicalOffset,
  msgTotalSize,
  PLAIN_LOG_BLANK_BYTES,
} from '@ringledger/protocol'
import fc from 'fast-check'
import { FILE_BYTES, PlainWriter } from './plain-writer-fake.ts'

const DIRECTORY = '/store/commitlog'

function newDisk(seed = 1): FakeDisk {
  const disk = new FakeDisk(seededRandom(seed))
  disk.makeDirectory(DIRECTORY)
  return disk
}

function pathAt(position: number): string {
  return `${DIRECTORY}/${fileNameOfOffset(position - (position % FILE_BYTES))}`
}

/** Positions of the messages in the files, as Apache's recovery walks them. */
function walk(disk: FakeDisk, to: number): number[] {
  const found: number[] = []
  for (let at = 0; at < to; ) {
    const file = disk.content(pathAt(at))
    assert.equal(file.length, FILE_BYTES)
    const inFile = at % FILE_BYTES
    if (isPlainLogBlank(file, inFile, FILE_BYTES - inFile)) {
      at += FILE_BYTES - inFile
      continue
    }
    assert.equal(msgPhysicalOffset(file, inFile), at)
    found.push(at)
    at += msgTotalSize(file, inFile)
    assert.ok(FILE_BYTES - (at % FILE_BYTES) >= PLAIN_LOG_BLANK_BYTES)
  }
  return found
}

test('messages stand one behind the other, a blank where one does not fit', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3800 }), { maxLength: 40 }), (sizes) => {
      const disk = newDisk()
      const writer = new PlainWriter({ disk, directories: DIRECTORY })
      const positions: number[] = []
      for (const bodyBytes of sizes) {
        positions.push(writer.append(bodyBytes))
        writer.turn()
        writer.io.duty()
        writer.turn()
        assert.equal(writer.core.replica.committedPosition, writer.core.replica.endPosition)
      }
      assert.deepEqual(walk(disk, writer.core.replica.endPosition), positions)
    }),
    { numRuns: 50 },
  )
})

test('what is acknowledged survives a loss of power at any moment', () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.array(fc.record({ body: fc.integer({ min: 0, max: 3000 }), duty: fc.boolean() }), {
        minLength: 1,
        maxLength: 40,
      }),
      (seed, steps) => {
        const disk = newDisk(seed)
        const writer = new PlainWriter({ disk, directories: DIRECTORY })
        const positions: number[] = []
        for (const { body, duty } of steps) {
          const position = writer.append(body)
          if (position >= 0) positions.push(position)
          if (duty) writer.turn()
          if (duty) writer.io.duty()
        }
        writer.core.pollStorage()
        const { committedPosition } = writer.core.replica
        disk.crash()
        const acknowledged = positions.filter((position) => position < committedPosition)
        assert.deepEqual(walk(disk, committedPosition), acknowledged)
      },
    ),
    { numRuns: 100 },
  )
})

test('SYNC_FLUSH waits for the disk, ASYNC_FLUSH for the kernel alone', () => {
  for (const syncBeforeAck of [true, false]) {
    const disk = newDisk()
    const synced: string[] = []
    disk.trace = (operation, path) => {
      if (operation === 'fdatasync') synced.push(path)
    }
    const writer = new PlainWriter({ disk, directories: DIRECTORY, syncBeforeAck })
    writer.append(100)
    writer.turn()
    const end = writer.core.replica.endPosition
    writer.io.duty()
    writer.turn()
    assert.equal(writer.core.replica.committedPosition, end)
    assert.equal(synced.length, syncBeforeAck ? 1 : 0)
    assert.equal(writer.arena.durable, syncBeforeAck ? end : 0)
    writer.nowMs += writer.io.waitMs
    writer.io.duty()
    assert.equal(synced.length, 1)
    assert.equal(writer.arena.durable, end)
  }
})

test('without space nothing is acknowledged, and nothing is lost when it comes back', () => {
  const disk = newDisk()
  const writer = new PlainWriter({ disk, directories: DIRECTORY })
  disk.capacityBytes = 0
  const position = writer.append(100)
  writer.turn()
  assert.equal(writer.io.duty(), false)
  assert.ok(!writer.io.hasWork)
  writer.turn()
  assert.equal(writer.core.replica.committedPosition, 0)
  assert.deepEqual(writer.told, ['full'])
  disk.capacityBytes = Number.POSITIVE_INFINITY
  writer.nowMs += 1000
  writer.io.duty()
  writer.turn()
  assert.deepEqual(writer.told, ['full', 'not full'])
  assert.deepEqual(walk(disk, writer.core.replica.committedPosition), [position])
})

test('a sync that fails ends the thread, and acknowledges nothing', () => {
  const disk = newDisk()
  const writer = new PlainWriter({ disk, directories: DIRECTORY })
  disk.failOn({ operation: 'fdatasync', path: DIRECTORY, errno: 'EIO' })
  writer.append(100)
  writer.turn()
  assert.throws(() => writer.io.duty(), { code: 'DISK_FAILED' })
  writer.turn()
  assert.equal(writer.core.replica.committedPosition, 0)
})

test('messages that no file holds, and more than the arena bears, are refused', () => {
  const writer = new PlainWriter({ disk: newDisk(), directories: DIRECTORY })
  assert.equal(writer.append(5000), ClaimRefusal.TOO_LARGE)
  let taken = 0
  while (writer.append(1000) >= 0) taken++
  assert.ok(taken > 10)
  writer.turn()
  writer.io.duty()
  writer.turn()
  assert.ok(writer.append(1000) >= 0)
})

test('several directories are filled in turn', () => {
  const disk = newDisk()
  disk.makeDirectory('/other')
  const writer = new PlainWriter({ disk, directories: `${DIRECTORY},/other` })
  for (let count = 0; count < 12; count++) writer.append(2000)
  writer.turn()
  writer.io.duty()
  assert.deepEqual(
    disk.list('/other'),
    [1, 3].map((file) => fileNameOfOffset(file * FILE_BYTES)),
  )
  assert.ok(disk.exists(pathAt(0)) && disk.exists(pathAt(2 * FILE_BYTES)))
})

test('closing brings everything to the disk', async () => {
  const disk = newDisk()
  const writer = new PlainWriter({ disk, directories: DIRECTORY, syncBeforeAck: false })
  const position = writer.append(100)
  const closed = writer.core.close()
  assert.ok(!writer.io.done)
  writer.io.duty()
  writer.core.pollStorage()
  await closed
  assert.ok(writer.io.done)
  disk.crash()
  assert.deepEqual(walk(disk, writer.core.replica.endPosition), [position])
})
