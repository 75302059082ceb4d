/** A log whose beginning is deleted: what is shown, what goes, and who begins without it. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { defaultGroupConfig, defaultTopicConfig } from '../state/configs.ts'
import { type QueueRow, snapshotParts } from '../state/snapshot.ts'
import type { BrokerStore } from './broker-store.ts'
import { LOG_RESETTING } from './log-start.ts'
import { drain, inDirectory, openStore, World } from './store-world-fake.ts'

const SEGMENT_BYTES = 16_384

function segmentOf(position: number): number {
  return position - (position % SEGMENT_BYTES)
}

/** As a leader does, of what it has applied. Returns the snapshot's position. */
function writeSnapshot(world: World, leader: BrokerStore): number {
  const position = leader.dispatchedPosition
  const queues: QueueRow[] = []
  leader.queues.forEachQueue(({ topic, queueId, maxOffset }) =>
    queues.push([topic, queueId, maxOffset]),
  )
  const parts = snapshotParts({ position, term: 1 }, leader.state.content(), queues)
  for (const part of parts) world.record(part)
  drain(leader)
  return position
}

/** Everything that clients can see. */
function shown(store: BrokerStore): unknown {
  const queues: string[] = []
  store.queues.forEachQueue((queue) => {
    if (queue.maxOffset === 0) return
    const { topic, queueId, minOffset, maxOffset } = queue
    const units: number[] = []
    queue.read(minOffset, 1e9, (offset, physicalOffset) => units.push(offset, physicalOffset) > 0)
    queues.push(`${topic}/${queueId} ${minOffset}-${maxOffset}: ${units.join(' ')}`)
  })
  const { topics, groups, offsets, delayOffsets } = store.state.content()
  return {
    queues: queues.sort(),
    topics: [...topics].map(({ topicName }) => topicName).sort(),
    groups: [...groups].map(({ groupName }) => groupName).sort(),
    offsets: [...offsets].map(String).sort(),
    delay: [...delayOffsets].map(String).sort(),
  }
}

/** Messages of two queues, one of them idle since the beginning, and tables; some are batches. */
function grow(world: World, count: number): void {
  for (let n = 0; n < count; n++) world.send('Busy', 0, 400, n % 5 === 4 ? 9 : 1)
}

function begin(world: World): void {
  for (const topic of ['Busy', 'Idle', 'Gone']) {
    world.record({ kind: 'topic', config: defaultTopicConfig(topic) })
  }
  world.record({ kind: 'group', config: defaultGroupConfig('g') })
  for (let n = 0; n < 37; n++) world.send('Idle', 3, 100)
  for (let n = 0; n < 5; n++) world.send('Gone', 0, 100)
  world.record({ kind: 'offsets', entries: [['Idle', 'g', 3, 20]] })
  world.record({ kind: 'delay', entries: [[2, 5]] })
}

/**
 * A leader that has deleted its log below the returned position; `others` may look at it whole
 * before.
 */
function trimmedLeader(
  world: World,
  directory: string,
  others: () => void = () => {},
): { leader: BrokerStore; first: number } {
  const { store: leader } = openStore(join(directory, 'leader'), world)
  if (world.messages.length === 0) begin(world)
  grow(world, 240)
  drain(leader)
  world.record({ kind: 'deleteTopic', topic: 'Gone' })
  world.record({ kind: 'offsets', entries: [['Idle', 'g', 3, 30]] })
  drain(leader)
  const position = writeSnapshot(world, leader)
  world.record({ kind: 'offsets', entries: [['Busy', 'g', 0, 7]] })
  grow(world, 50)
  drain(leader)
  const first = segmentOf(position)
  assert.ok(first > 2 * SEGMENT_BYTES)
  others()
  world.log.filesBegin = first
  leader.logFirstPosition = first
  return { leader, first }
}

function settle(store: BrokerStore): void {
  for (let nowMs = 10_000; nowMs < 400_000; nowMs += 6000) store.tick(nowMs, true)
}

test('nothing of the log may go before a snapshot stands behind it', () => {
  inDirectory((directory) => {
    const world = new World()
    const { store } = openStore(directory, world)
    begin(world)
    drain(store)
    settle(store)
    assert.equal(store.neededFromPosition, world.log.end)
    assert.equal(store.deletableTo, 0)
    const position = writeSnapshot(world, store)
    assert.ok(store.deletableTo <= position)
    settle(store)
    assert.equal(store.deletableTo, position)
    store.close()
    world.log = world.log.restarted()
    const again = openStore(directory, world)
    assert.equal(again.store.deletableTo, position, 'known after a restart')
    again.store.close()
  })
})

test('what was deleted is not shown, and minimum offsets rise to what is left', () => {
  inDirectory((directory) => {
    const world = new World()
    const { leader, first } = trimmedLeader(world, directory)
    const left = world.messages.filter(({ physicalOffset }) => physicalOffset > first)
    const busy = leader.queues.find('Busy', 0)
    assert.equal(busy?.minOffset, left[0]?.queueOffset)
    assert.equal(leader.queues.find('Idle', 3)?.minOffset, 37, 'empty, and its offset stays')
    const gone = world.messages.findLast(({ physicalOffset }) => physicalOffset < first)
    assert.equal(leader.reader.sizeAt(gone?.physicalOffset ?? 0), -1)
    assert.ok(leader.reader.sizeAt(left[0]?.physicalOffset ?? 0) > 0)
    leader.close()
  })
})

test('files of queues and index that speak only of what was deleted go, but for the last', () => {
  inDirectory((directory) => {
    const world = new World()
    const { leader, first } = trimmedLeader(world, directory)
    settle(leader)
    const before = shown(leader)
    const queueFiles = (): string[] =>
      readdirSync(join(directory, 'leader', 'consumequeue', 'Busy', '0'))
    const indexFiles = (): string[] => readdirSync(join(directory, 'leader', 'index'))
    const [queuesBefore, indexBefore] = [queueFiles().length, indexFiles().length]
    leader.queues.forEachQueue((queue) => {
      while (queue.removeOldestFile());
    })
    while (leader.index.removeOldestFile(first));
    assert.ok(queueFiles().length < queuesBefore && indexFiles().length < indexBefore)
    assert.equal(readdirSync(join(directory, 'leader', 'consumequeue', 'Idle', '3')).length, 1)
    const minOffset = leader.queues.minOffset('Busy', 0)
    assert.equal(Number(queueFiles().sort()[0]), Math.floor(minOffset / 10) * 200)
    assert.deepEqual(shown(leader), before)
    grow(world, 40)
    drain(leader)
    leader.close()
    world.log = world.log.restarted()
    const { store, seen } = openStore(join(directory, 'leader'), world)
    assert.deepEqual(seen.lines, [])
    assert.equal(store.queues.minOffset('Busy', 0), minOffset)
    assert.equal(store.queues.maxOffset('Idle', 3), 37)
    const { topic, keys, physicalOffset } = world.messages.at(-1)!
    assert.ok(store.index.query(topic, keys[0]!, 9, 0, 1e15).includes(physicalOffset))
    store.close()
  })
})

test('a member that was away begins with the snapshot, and ends with the same as the others', () => {
  inDirectory((directory) => {
    const world = new World()
    let start = 0
    const { store, seen } = openStore(join(directory, 'away'), world, { logStart: () => start })
    begin(world)
    drain(store)
    const { leader, first } = trimmedLeader(world, directory)
    start = LOG_RESETTING
    assert.equal(store.duty(), false, 'nothing is read meanwhile')
    start = first
    drain(store)
    assert.equal(seen.replaced, 2, 'queues, then tables')
    assert.deepEqual(shown(store), shown(leader))
    assert.equal(store.lacksState, false)
    grow(world, 10)
    drain(store)
    drain(leader)
    store.close()
    world.log = world.log.restarted()
    const again = openStore(join(directory, 'away'), world, { logStart: () => first })
    assert.deepEqual(shown(again.store), shown(leader), 'and after a restart')
    assert.equal(again.store.queues.maxOffset('Idle', 3), 37)
    again.store.close()
    leader.close()
  })
})

test('tables that lack records are never saved: a start in between looks for the snapshot again', () => {
  inDirectory((directory) => {
    const world = new World()
    let start = 0
    const path = join(directory, 'away')
    const { store } = openStore(path, world, { logStart: () => start })
    begin(world)
    drain(store)
    const { leader, first } = trimmedLeader(world, directory)
    start = first
    while (store.dispatchedPosition < leader.state.snapshotPosition) store.duty(1)
    assert.equal(store.lacksState, true)
    settle(store)
    assert.equal(store.deletableTo, 0)
    store.close()
    world.log = world.log.restarted()
    const again = openStore(path, world, { logStart: () => first })
    assert.equal(again.store.lacksState, true)
    drain(again.store)
    assert.deepEqual(shown(again.store), shown(leader))
    again.store.abandon()
    leader.close()
  })
})

test('queues, index and tables that were lost come from what is left of the log', () => {
  inDirectory((directory) => {
    const world = new World()
    const { leader } = trimmedLeader(world, directory)
    const expected = shown(leader)
    leader.close()
    for (const name of ['consumequeue', 'index', 'config', 'ringledger-dispatch']) {
      rmSync(join(directory, 'leader', name), { recursive: true })
    }
    world.log = world.log.restarted()
    const { store } = openStore(join(directory, 'leader'), world)
    drain(store)
    assert.deepEqual(shown(store), expected)
    store.close()
    assert.ok(existsSync(join(directory, 'leader', 'config', 'topics.json')))
  })
})

test('a member whose log begins anew below what it has applied keeps its queues', () => {
  inDirectory((directory) => {
    const world = new World()
    let start = 0
    const path = join(directory, 'damaged')
    const { store, seen } = openStore(path, world, { logStart: () => start })
    const { leader, first } = trimmedLeader(world, directory, () => drain(store))
    start = first
    store.duty()
    assert.equal(seen.replaced, 1)
    assert.deepEqual(shown(store), shown(leader))
    store.close()
    leader.close()
  })
})
