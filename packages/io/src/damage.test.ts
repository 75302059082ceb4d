import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import { fileNameOfOffset, INDEX_UNIT_BYTES } from '@ringledger/protocol'
import type { StoreConfig } from './config.ts'
import { FakeDisk } from './disk-fake.ts'
import type { LogStore } from './log-store.ts'
import type { Recovered } from './recovered.ts'
import { openStore } from './recovery.ts'
import { StoreFake } from './store-fake.ts'
import type { Finding } from './store-parts.ts'

const CONFIG: StoreConfig = {
  rootDirectory: '/r',
  selfId: 'n0',
  segmentBytes: 1024,
  indexSegmentBytes: 32 * 16,
  minimumFreeBytes: 1,
  zeroAheadBytes: 512,
  markEveryBytes: 1024,
}
const HOME = '/r/dledger-n0'
const ENTRIES = 12
/** Term and first index. */
const TERMS = [
  [1, 0],
  [3, 5],
]
const VOTE = { term: 3, votedFor: 'n2' }

interface Sample {
  readonly disk: FakeDisk
  readonly seam: StoreFake
  /** Every file of the store, by path. */
  readonly files: Map<string, Buffer>
}

/**
 * A store of some small entries over several segments. With `isMarked` recovery resumes at its end,
 * else it goes through all of it.
 */
function sample(isMarked = true, seed = 7): Sample {
  const disk = new FakeDisk(seededRandom(seed))
  const seam = new StoreFake({ ...CONFIG, markEveryBytes: isMarked ? 1024 : 1024 ** 2 }, disk)
  seam.client.saveHardState(VOTE, 1)
  for (let index = 0; index < ENTRIES; index++) {
    seam.append(1, index < 5 ? 1 : 3, 100 + 40 * (index % 4))
    seam.settle()
  }
  if (isMarked) seam.clock.advance(4_000)
  seam.settle()
  const files = new Map<string, Buffer>()
  for (const directory of [`${HOME}/data`, `${HOME}/index`, HOME]) {
    for (const name of disk.list(directory)) {
      const path = `${directory}/${name}`
      if (name !== 'data' && name !== 'index') files.set(path, disk.content(path))
    }
  }
  return { disk, seam, files }
}

/** The log as it was written, as peers still have it. */
function logOf(files: Sample['files']): Buffer {
  return Buffer.concat([...files].filter(([path]) => path.includes('/data/')).map(([, b]) => b))
}

function fillHoles(store: LogStore, holes: readonly number[], log: Buffer): void {
  for (const position of holes) {
    const hole = store.holes.at(position)
    assert.ok(hole !== undefined)
    const wrong = Buffer.from(log.subarray(position, hole.endPosition))
    wrong[50]! ^= 1
    assert.notEqual(store.repair(position, wrong), '', 'a changed entry is not taken')
    assert.equal(store.repair(position, log.subarray(position, hole.endPosition)), '')
  }
}

function scrub(store: LogStore): Finding[] {
  const found: Finding[] = []
  store.onFinding = (finding) => found.push(finding)
  store.scrub.begin()
  for (let steps = 0; !store.scrub.done; steps++) {
    assert.ok(steps < 1000, 'a pass ends')
    store.scrub.step(700)
  }
  return found
}

/** Data and index are byte for byte as they were. */
function assertWhole(disk: FakeDisk, files: Sample['files'], what: string): void {
  for (const [path, bytes] of files) {
    if (!path.includes('/data/') && !path.includes('/index/')) continue
    assert.ok(disk.content(path).equals(bytes), `${what}: ${path} is whole again`)
  }
}

/** A place every `step` bytes of every file, the bit changing along. DAMAGE_STEP=1: all bytes. */
function* places(
  files: Sample['files'],
  step: number,
): Generator<{ path: string; at: number; bit: number }> {
  const stride = Number(process.env.DAMAGE_STEP ?? step)
  for (const [path, bytes] of files) {
    // Behind the records of the slot files there is only padding.
    const isSlots = path.includes('ringledger-')
    for (let at = 0; at < bytes.length; at += stride) {
      if (isSlots && at % 4096 > 100 && at % 97 !== 0) continue
      yield { path, at, bit: at % 8 }
    }
  }
}

for (const isMarked of [true, false]) {
  const where = isMarked ? 'below the resume mark' : 'that a start goes through'
  test(`a bit flipped anywhere in a stopped store, ${where}, is repaired or becomes a hole`, () => {
    const { files } = sample(isMarked)
    const log = logOf(files)
    let holes = 0
    for (const { path, at, bit } of places(files, 5)) {
      const what = `${path} byte ${at} bit ${bit}`
      const { disk, seam } = sample(isMarked)
      disk.kill()
      disk.flipBit(path, at, bit)
      const { store, recovered } = openStore(CONFIG, disk)
      assertKnown(recovered, seam.core.end.position, what)
      holes += recovered.holes.length
      fillHoles(store, store.holes.positions, log)
      scrub(store)
      assert.equal(store.end.chainCrc, seam.core.end.chainCrc, what)
      fillHoles(store, store.holes.positions, log)
      assert.deepEqual(scrub(store), [], `${what}: nothing is left`)
      assertWhole(disk, files, what)
      store.abandon()
    }
    assert.ok(holes > (isMarked ? 10 : 200), `${holes} were damaged entries`)
  })
}

/** The start knows the whole log, and what the node promised. */
function assertKnown(recovered: Recovered, endPosition: number, what: string): void {
  const { tail, hardState } = recovered
  assert.equal(tail.endPosition, endPosition, what)
  assert.equal(tail.lastIndex, ENTRIES - 1, what)
  const terms = tail.spans.map((span) => [span.term, span.firstIndex])
  assert.deepEqual(terms, TERMS, what)
  assert.ok(hardState.term >= VOTE.term, what)
  if (hardState.term === VOTE.term) assert.deepEqual(hardState, VOTE, what)
}

test('a bit flipped anywhere below an open store is found by a pass, and repaired', () => {
  const { files } = sample()
  const log = logOf(files)
  const { disk, seam } = sample()
  const { store } = seam
  for (const { path, at, bit } of places(files, 3)) {
    const what = `${path} byte ${at} bit ${bit}`
    const before = disk.content(path)
    disk.flipBit(path, at, bit)
    const found = scrub(store)
    const isText = path.endsWith('currterm') || path.endsWith('checkpoint')
    if (!isText && !path.endsWith('ringledger-lock')) {
      assert.equal(found.length, 1, what)
      fillHoles(store, store.holes.positions, log)
      assert.equal(scrub(store).length, 0, what)
    }
    if (path.includes('ringledger-')) continue
    if (isText) disk.flipBit(path, at, bit)
    assert.ok(disk.content(path).equals(before), what)
  }
})

test('a repair that a kill left unsynced is durable once a pass has found it whole', () => {
  for (let seed = 0; seed < 20; seed++) {
    const { disk, seam, files } = sample(true, seed)
    disk.flipBit(`${HOME}/data/${fileNameOfOffset(0)}`, 60, seed % 8)
    scrub(seam.store)
    const [position] = seam.store.holes.positions
    const { endPosition } = seam.store.holes.at(position!)!
    const before = seam.store.holes.positions.length
    disk.trace = (operation) => {
      if (operation === 'fdatasync') throw new Error('killed')
    }
    const whole = logOf(files).subarray(position, endPosition)
    assert.throws(() => seam.store.repair(position!, whole), /killed/)
    assert.equal(seam.store.holes.positions.length, before)
    disk.trace = () => {}
    disk.kill()
    const again = new StoreFake(CONFIG, disk)
    assert.deepEqual(scrub(again.store), [], 'the page cache has it whole')
    disk.crash()
    assert.deepEqual(scrub(new StoreFake(CONFIG, disk).store), [], `seed ${seed}`)
  }
})

test('an index unit is made anew as soon as its entry is asked about', () => {
  const disk = new FakeDisk(seededRandom(7))
  const seam = new StoreFake(CONFIG, disk)
  for (let index = 0; index < 200; index++) {
    seam.append(1, 1, 100)
    seam.settle()
  }
  const { store } = seam
  const unitsAFile = CONFIG.indexSegmentBytes! / INDEX_UNIT_BYTES
  for (let index = 0; index < 200; index++) {
    const base = index - (index % unitsAFile)
    const path = `${HOME}/index/${fileNameOfOffset(base * INDEX_UNIT_BYTES)}`
    const whole = disk.content(path)
    // Six entries of 148 bytes a segment.
    const position = Math.floor(index / 6) * 1024 + (index % 6) * 148
    // Magic, a high and a low byte of the position, size, index, term.
    for (const at of [0, 8, 11, 14, 23, 31]) {
      const what = `unit ${index} byte ${at}`
      disk.flipBit(path, (index - base) * INDEX_UNIT_BYTES + at, 1)
      const found: Finding[] = []
      store.onFinding = (finding) => found.push(finding)
      assert.ok(store.scrub.check(position), what)
      assert.equal(found.length, 1, what)
      assert.ok(disk.content(path).equals(whole), what)
    }
  }
})

test('a start finds its holes again until they are filled, and the log may be cut before them', () => {
  const { disk, seam, files } = sample()
  const log = logOf(files)
  const position = seam.store.end.position - 220
  disk.kill()
  disk.flipBit(
    `${HOME}/data/${String(position - (position % 1024)).padStart(20, '0')}`,
    position % 1024,
    1,
  )
  for (let start = 0; start < 3; start++) {
    const { store, recovered } = openStore(CONFIG, disk)
    assert.equal(recovered.holes.length, 1)
    if (start === 1) store.closeClean()
    else store.abandon()
  }
  const { store, recovered } = openStore(CONFIG, disk)
  const [hole] = recovered.holes
  assert.ok(hole !== undefined && hole.position <= position && position < hole.endPosition)
  store.truncate(hole.position)
  assert.equal(store.holes.count, 0)
  assert.equal(store.end.position, hole.position)
  assert.ok(log.length > hole.endPosition)
})

test('what was damaged is no longer wanted once retention has deleted it', () => {
  const { disk, seam, files } = sample()
  const { store } = seam
  disk.flipBit(`${HOME}/data/${String(0).padStart(20, '0')}`, 60, 1)
  scrub(store)
  assert.deepEqual(store.holes.positions, [0])
  const { endPosition } = store.holes.at(0)!
  seam.client.checkpoint(store.end.position, store.end.index)
  seam.client.removeBelow(1024)
  const removed = { firstPosition: 1024, soundPosition: Number.POSITIVE_INFINITY }
  const [heard] = seam.settle().filter((each) => each.kind === 'removed')
  assert.deepEqual(heard, { kind: 'removed', firstIndex: heard?.firstIndex, ...removed })
  assert.equal(store.holes.count, 0)
  assert.match(store.repair(0, logOf(files).subarray(0, endPosition)), /nothing is known/)
})

test('index units that vanished with their entry: the entry behind tells where it stood', () => {
  const { disk, files } = sample()
  const log = logOf(files)
  const hole = 2
  disk.kill()
  const unitPath = `${HOME}/index/${String(0).padStart(20, '0')}`
  disk.flipBit(unitPath, hole * INDEX_UNIT_BYTES, 0)
  const position = Number(files.get(unitPath)?.readBigInt64BE(hole * INDEX_UNIT_BYTES + 4))
  disk.flipBit(
    `${HOME}/data/${String(position - (position % 1024)).padStart(20, '0')}`,
    position % 1024,
    1,
  )
  const { store } = openStore(CONFIG, disk)
  scrub(store)
  assert.deepEqual(store.holes.positions, [position])
  fillHoles(store, [position], log)
  assert.deepEqual(scrub(store), [])
  assertWhole(disk, files, 'both')
})

test('a log begun anew is empty there, remembers what was lost, and finishes after a crash', () => {
  let done = false
  for (let failAt = 0; !done; failAt++) {
    const { disk, seam } = sample()
    let left = failAt
    disk.beforeChange = () => {
      if (left-- === 0) throw new Error('power lost')
    }
    try {
      seam.store.reset({ position: 8192, index: 40 }, { untilPosition: 2000, term: 3 })
      done = true
    } catch (error) {
      assert.match((error as Error).message, /power lost/)
    }
    disk.beforeChange = () => {}
    disk.crash()
    const { recovered, store } = openStore(CONFIG, disk)
    if (recovered.tail.firstPosition === 0 && !done) {
      assert.equal(recovered.tail.endPosition, seam.core.end.position, 'nothing was dropped')
    } else {
      assert.deepEqual(recovered.lost, { untilPosition: 2000, term: 3 })
      assert.equal(recovered.tail.firstPosition, 8192)
      assert.equal(recovered.tail.firstIndex, 40)
      assert.equal(recovered.tail.endPosition, 8192)
      assert.equal(recovered.tail.lastIndex, 39)
      assert.equal(recovered.lastChainCrc, -1)
      store.healed()
      store.closeClean()
      assert.equal(openStore(CONFIG, disk).recovered.lost, undefined)
    }
  }
})
