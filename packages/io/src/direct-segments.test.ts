/** Writes past the page cache: what readers, cuts, other writers and a full disk make of them. */
import assert from 'node:assert/strict'
import { constants, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import { allocateRegion, Doorbell, LogArena, regionBuffer } from 'sharedarraybuffer-ringbuffer'
import { CoreFake } from './core-fake.ts'
import { FakeDisk } from './disk-fake.ts'
import { NodeDisk } from './disk-node.ts'
import {
  allocateIoPort,
  IoClient,
  type IoEventHandlers,
  type IoWorkerData,
  LogFileReader,
  type StoreConfig,
  startIoWorker,
} from './index.ts'
import { SegmentFiles } from './segment-files.ts'
import { StoreFake } from './store-fake.ts'

const KIB = 1024
const CONFIG: StoreConfig = {
  rootDirectory: '/r',
  selfId: 'n0',
  segmentBytes: 16 * KIB,
  indexSegmentBytes: 32 * 64,
  minimumFreeBytes: 1,
  zeroAheadBytes: 0,
}
const DATA = '/r/dledger-n0/data/00000000000000000000'

function directDisk(): FakeDisk {
  const disk = new FakeDisk(seededRandom(1))
  disk.directBlockBytes = 4096
  return disk
}

test('a group is one write that is durable, and its index units', () => {
  const disk = directDisk()
  const seam = new StoreFake(CONFIG, disk)
  seam.append(1)
  seam.settle()
  const calls: string[] = []
  disk.trace = (operation, path) => calls.push(`${operation} ${path.split('/').at(-2)}`)
  seam.append(10)
  seam.settle()
  // The fake makes a direct write of both; there is no other sync and no read.
  assert.deepEqual(calls, ['write data', 'fdatasync data', 'write index'])
  const written = disk.content(DATA)
  assert.ok(
    written
      .subarray(seam.core.end.position)
      .equals(Buffer.alloc(16 * KIB - seam.core.end.position)),
  )
})

test('the first refusal is the last: everything goes by way of the page cache then', () => {
  const disk = directDisk()
  const seam = new StoreFake(CONFIG, disk)
  disk.directWritesLeft = 2
  for (let group = 0; group < 6; group++) {
    seam.append(3)
    assert.equal(seam.settle().length, 1)
  }
  assert.equal(disk.directWritesLeft, -1)
  const { end } = seam.core
  disk.crash()
  const again = new StoreFake(CONFIG, disk)
  assert.equal(again.recovered.tail.endPosition, end.position)
  assert.equal(again.recovered.lastChainCrc, end.chainCrc)
})

test('segments that are no whole number of blocks are written through the page cache', () => {
  const disk = directDisk()
  const seam = new StoreFake({ ...CONFIG, segmentBytes: 16 * KIB + 512 }, disk)
  disk.directWritesLeft = 1
  seam.append(60)
  seam.settle()
  assert.equal(disk.directWritesLeft, 1)
  assert.equal(seam.core.arena.durable, seam.core.end.position)
})

test('a group that met a full disk in the middle is written when space returns', () => {
  const disk = directDisk()
  const seam = new StoreFake(CONFIG, disk)
  seam.append(3)
  seam.settle()
  disk.capacityBytes = disk.usedBytes + 512
  seam.append(20)
  assert.deepEqual(
    seam.settle().map(({ kind }) => kind),
    ['full'],
  )
  disk.capacityBytes = Number.POSITIVE_INFINITY
  seam.clock.advance(1000)
  assert.deepEqual(
    seam.settle().map(({ kind }) => kind),
    ['ok', 'durable'],
  )
  disk.crash()
  assert.equal(new StoreFake(CONFIG, disk).recovered.tail.lastIndex, 22)
})

test('a direct write whose sync fails latches', () => {
  const disk = directDisk()
  const seam = new StoreFake(CONFIG, disk)
  disk.failOn({ operation: 'fdatasync', path: '/data/', errno: 'EIO' })
  seam.append(3)
  const heard = seam.settle()
  assert.ok(heard.length === 1 && heard[0]?.kind === 'failed' && heard[0].file === DATA)
  assert.equal(seam.core.arena.durable, 0)
})

test('what others write into the last block is not undone, what is cut does not come back', () => {
  const disk = directDisk()
  disk.makeDirectory('/log')
  const files = new SegmentFiles(disk, '/log', 8 * KIB, true)
  files.load(true)
  const memory = regionBuffer(allocateRegion(8 * KIB))
  memory.fill('a')
  files.append(0, memory, 0, 1000)
  files.writeAt(10, Buffer.from('repaired'), 0, 8)
  files.sync()
  files.append(1000, memory, 1000, 1000)
  files.cut(1500)
  memory.fill('b', 1500)
  files.append(1500, memory, 1500, 5000)
  const expected = Buffer.alloc(8 * KIB)
  expected.fill('a', 0, 1500)
  expected.write('repaired', 10)
  expected.fill('b', 1500, 6500)
  const found = Buffer.alloc(8 * KIB)
  assert.equal(files.readAt(0, found, 0, found.length), found.length)
  assert.ok(found.equals(expected))
  files.close()
})

test('zeros go in front of the log from the next block on', () => {
  const disk = directDisk()
  const seam = new StoreFake({ ...CONFIG, zeroAheadBytes: 8 * KIB }, disk)
  for (let group = 0; group < 20; group++) {
    seam.append(2)
    seam.settle()
  }
  const { end } = seam.core
  assert.equal(disk.directWritesLeft, Number.POSITIVE_INFINITY)
  disk.crash()
  assert.equal(new StoreFake(CONFIG, disk).recovered.tail.endPosition, end.position)
})

/** Whether this process has the file open for direct writes. */
function isOpenDirect(path: string): boolean {
  return readdirSync('/proc/self/fd').some((descriptor) => {
    try {
      if (readlinkSync(`/proc/self/fd/${descriptor}`) !== path) return false
      const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')
      const flags = Number.parseInt(/flags:\s*(\d+)/.exec(info)?.[1] ?? '0', 8)
      return (flags & constants.O_DIRECT) !== 0
    } catch {
      return false
    }
  })
}

async function takesDirectWrites(directory: string): Promise<boolean> {
  const path = join(directory, 'scratch')
  await writeFile(path, Buffer.alloc(4096))
  const file = new NodeDisk().openDirect(path)
  const block = regionBuffer(allocateRegion(4096))
  const isTaken = file?.write([block], 0) === true
  file?.close()
  return isTaken
}

const SEGMENT_BYTES = 256 * KIB
const WRITTEN_BYTES = 4 * 1024 * KIB

/** Grows a log through a real IO thread, and keeps a copy of it. */
class GrowingLog {
  readonly copy: Buffer = Buffer.alloc(WRITTEN_BYTES + 64 * KIB)
  readonly client: IoClient
  readonly #core: CoreFake

  constructor({ arena, port }: IoWorkerData) {
    const empty = { position: 0, index: -1, term: -1, chainCrc: 0 }
    this.#core = new CoreFake(arena, SEGMENT_BYTES, empty)
    this.client = new IoClient(port, this.#core.arena)
  }

  get end(): number {
    return this.#core.end.position
  }

  /** A few entries more, as long as there is room. */
  grow(): void {
    const core = this.#core
    for (let count = 0; count < 8 && this.end < WRITTEN_BYTES; count++) {
      const before = this.end
      if (!core.append(1, 100 + ((core.end.index * 37) % 900), core.end.index & 255)) break
      core.arena.forEachPiece(before, this.end, (position, offset, sizeBytes) => {
        core.arena.bytes.copy(this.copy, position, offset, offset + sizeBytes)
      })
    }
    this.client.write(this.end)
    this.client.flush()
  }

  /** Resolves when all is written and the IO thread has closed the store. */
  written(bell: SharedArrayBuffer, onDurable: (position: number) => void): Promise<void> {
    return new Promise((resolve) => {
      const handlers: IoEventHandlers = {
        onDurable: (position) => {
          onDurable(position)
          if (position < WRITTEN_BYTES) return
          this.client.close()
          this.client.flush()
        },
        onTruncated: () => assert.fail('no cut was asked for'),
        onHardStateSaved: () => assert.fail('no save was asked for'),
        onFailed: (file, error) => assert.fail(`${file}: ${error}`),
        onDiskFull: () => assert.fail('the disk is not full'),
        onDiskOk: () => {},
        onClosed: () => {
          listener.close()
          resolve()
        },
      }
      const listener = new Doorbell(bell).listen(() => this.client.poll(handlers), 0)
      this.grow()
    })
  }
}

test('readers through the page cache see all that is durable, while more is written', {
  timeout: 120_000,
}, async (t) => {
  const rootDirectory = await mkdtemp(join(tmpdir(), 'ringledger-direct-'))
  t.after(() => rm(rootDirectory, { recursive: true, force: true }))
  if (!(await takesDirectWrites(rootDirectory))) {
    t.skip('the file system of the temporary directory takes no direct writes')
    return
  }
  const config = { rootDirectory, selfId: 'n0', segmentBytes: SEGMENT_BYTES, minimumFreeBytes: 1 }
  const arena = LogArena.allocate({ sizeBytes: 512 * KIB, maxEntryBytes: 8192 })
  const data = { config, arena, port: allocateIoPort(), coreDoorbell: Doorbell.allocate() }
  const { worker } = await startIoWorker(data)
  const ended = new Promise((resolve) => worker.once('exit', resolve))
  const log = new GrowingLog(data)
  const reader = new LogFileReader(config)
  const found = Buffer.alloc(24 * KIB)
  let checks = 0
  await log.written(data.coreDoorbell, (position) => {
    // The IO thread goes on: what lies behind the bytes read here is being overwritten.
    log.grow()
    const from = Math.max(0, position - found.length)
    assert.equal(reader.read(from, found, 0, position - from), position - from)
    assert.ok(found.subarray(0, position - from).equals(log.copy.subarray(from, position)))
    if (checks++ > 0) return
    const path = join(rootDirectory, 'dledger-n0', 'data', '0'.repeat(20))
    assert.ok(position > SEGMENT_BYTES || isOpenDirect(path), 'the writes are direct')
  })
  assert.equal(await ended, 0)
  assert.ok(checks > 10)
  const all = Buffer.alloc(log.end)
  assert.equal(reader.read(0, all, 0, all.length), all.length)
  assert.ok(all.equals(log.copy.subarray(0, all.length)))
  reader.close()
})
