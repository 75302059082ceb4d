import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  CQ_FILLER_SIZE,
  encodeMessage,
  type MessageInit,
  MessageSysFlag,
  messageParts,
  messageSize,
  parseLenientJson,
  SystemTopic,
} from '@ringledger/protocol'
import { delayMark } from '../delay-levels.ts'
import { defaultTopicConfig } from '../state/configs.ts'
import { ReplicatedState } from '../state/replicated-state.ts'
import { StateFiles } from '../state/state-files.ts'
import { ConsumeQueues } from './consume-queues.ts'
import { KeyIndex } from './key-index.ts'
import { PlainStoreBuilder, type PlainStoreBuilderOptions } from './plain-store-builder.ts'
import { queueUnitsOf } from './sample-store.ts'
import { StoppedQueues } from './stopped-queues.ts'
import { batchBody } from './store-world-fake.ts'

const directory = mkdtempSync(join(tmpdir(), 'plain-builder-'))
after(() => rmSync(directory, { recursive: true }))
const SIZES = { consumeQueueFileBytes: 200, indexSlots: 20, indexEntries: 40 }
let count = 0

/** A store that is being built, from a source whose queues and tables a test has made. */
class World {
  readonly source: string = join(directory, `source-${++count}`)
  readonly root: string = join(directory, `root-${count}`)
  builder!: PlainStoreBuilder
  end = 0
  position = 0

  constructor() {
    mkdirSync(this.source)
    mkdirSync(join(this.root, 'commitlog'), { recursive: true })
  }

  open(options: Partial<PlainStoreBuilderOptions> = {}): this {
    const { logFirstOffset = 0, resume } = options
    this.end = resume?.endOffset ?? logFirstOffset
    this.builder = new PlainStoreBuilder({
      rootDirectory: this.root,
      sourceDirectory: this.source,
      logFirstOffset,
      ...SIZES,
      ...options,
    })
    return this
  }

  add(message: MessageInit, wasPlain = false): number {
    const parts = messageParts({ storeTimestampMs: 1000, ...message, physicalOffset: this.end })
    const bytes = Buffer.alloc(messageSize(parts))
    encodeMessage(bytes, 0, parts)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const offset = this.end
    this.builder.addMessage(bytes, view, 0, bytes.length, offset, wasPlain)
    this.end += bytes.length
    return offset
  }

  record(record: object): void {
    this.builder.applyRecord(JSON.stringify(record), this.position, this.position + 1)
    this.position++
  }

  mark(level: number, queueOffset: number): void {
    this.builder.applyDelayMark(delayMark(level, queueOffset), this.position, this.position + 1)
    this.position++
  }

  table(name: string): Record<string, unknown> {
    return parseLenientJson(readFileSync(join(this.root, 'config', name), 'utf8')) as never
  }

  /** Units of a queue as `offset size`, fillers included. */
  units(topic: string, queueId: number): string[] {
    const hex = queueUnitsOf(join(this.root, 'consumequeue')).get(`${topic}/${queueId}`) ?? ' '
    const bytes = Buffer.from(hex.slice(hex.indexOf(' ') + 1), 'hex')
    return Array.from({ length: bytes.length / 20 }, (_, unit) => {
      return `${bytes.readBigInt64BE(unit * 20)} ${bytes.readInt32BE(unit * 20 + 8)}`
    })
  }
}

test('queues, keys and times of messages are what a broker would build', () => {
  const world = new World().open()
  const properties = new Map([
    ['KEYS', 'a b'],
    ['UNIQ_KEY', 'U1'],
    ['TAGS', 'x'],
  ])
  world.add({ topic: 'T', queueId: 1, queueOffset: 0, properties })
  const second = world.add({ topic: 'T', queueId: 1, queueOffset: 1 })
  world.add({ topic: 'T', sysFlag: MessageSysFlag.TRANSACTION_ROLLBACK_TYPE })
  world.add({ topic: 'T', sysFlag: MessageSysFlag.TRANSACTION_PREPARED_TYPE, properties })
  const built = world.builder.finish(world.end)
  world.builder.close()
  assert.deepEqual([built.queues, built.units, built.shortQueues], [1, 2, []])
  assert.equal(world.units('T', 1)[1]?.split(' ')[0], String(second))
  const index = new KeyIndex({ directory: join(world.root, 'index'), slots: 20, entries: 40 })
  const [name] = readdirSync(join(world.root, 'index'))
  index.recover({ fileName: name!, indexCount: 7 }, true)
  assert.equal(index.query('T', 'U1', 10, 0, 9e12).length, 2)
  index.abandon()
  const checkpoint = readFileSync(join(world.root, 'checkpoint'))
  assert.deepEqual([checkpoint.length, checkpoint.readBigInt64BE(0)], [4096, 1000n])
  assert.ok(!existsSync(join(world.root, 'abort')))
})

test('the beginning of a queue that retention took away is filled, its end is kept', () => {
  const world = new World()
  const queues = new ConsumeQueues({
    directory: join(world.source, 'consumequeue'),
    fileBytes: 200,
  })
  for (let offset = 0; offset < 27; offset++) queues.append('Gone', 2, offset, 50 + offset, 91, 0)
  queues.append('T', 0, 0, 20, 91, 0)
  queues.close()
  world.open({ logFirstOffset: 4096 })
  world.add({ topic: 'T', queueOffset: 13 })
  const built = world.builder.finish(100_000)
  world.builder.close()
  assert.equal(built.expiredQueues, 1)
  assert.deepEqual(world.units('T', 0), [...filler(3), '4096 92'])
  assert.deepEqual(world.units('Gone', 2), [...filler(6), '4095 1'])
})

function filler(units: number): string[] {
  return Array.from({ length: units }, () => `0 ${CQ_FILLER_SIZE}`)
}

test('a queue that lacks messages which the source had is named', () => {
  const world = new World()
  const queues = new ConsumeQueues({
    directory: join(world.source, 'consumequeue'),
    fileBytes: 200,
  })
  for (let offset = 0; offset < 5; offset++) queues.append('T', 0, offset, 100 * offset, 91, 0)
  queues.close()
  world.open()
  world.add({ topic: 'T', queueOffset: 0 })
  const { shortQueues } = world.builder.finish(10_000)
  world.builder.close()
  assert.deepEqual(shortQueues, ['T/0 ends at 1, its old queue at 5'])
})

test('a topic that was deleted has no queues, one that was made again only its own', () => {
  const world = new World().open()
  for (const queueOffset of [0, 1, 2]) world.add({ topic: 'Again', queueOffset })
  world.add({ topic: 'Deleted', queueOffset: 0 })
  world.record({ kind: 'deleteTopic', topic: 'Again' })
  world.record({ kind: 'deleteTopic', topic: 'Deleted' })
  const offset = world.add({ topic: 'Again', queueOffset: 0 })
  world.builder.finish(world.end)
  world.builder.close()
  assert.deepEqual(world.units('Again', 0), [`${offset} 96`])
  assert.ok(!existsSync(join(world.root, 'consumequeue', 'Deleted')))
})

function sourceTables(world: World): void {
  const state = new ReplicatedState()
  state.apply({ kind: 'offsets', entries: [['T', 'G', 0, 4]] }, 0, 1)
  state.apply({ kind: 'delay', entries: [[1, 2]] }, 1, 2)
  new StateFiles(join(world.source, 'config')).save(state)
}

test('tables hold what the records behind their snapshot say, and nothing of ours stays', () => {
  const world = new World()
  sourceTables(world)
  world.open()
  world.position = 2
  world.record({ kind: 'offsets', entries: [['T', 'G', 0, 9]] })
  world.builder.finish(world.end)
  world.builder.close()
  const { offsetTable } = world.table('consumerOffset.json')
  assert.deepEqual({ ...(offsetTable as object) }, { 'T@G': { 0: 9 } })
  const names = readdirSync(join(world.root, 'config'))
  assert.deepEqual(
    names.filter((name) => name.startsWith('ringledger-')),
    [],
  )
})

test('exactly the delayed messages that were not delivered are pending', () => {
  const world = new World()
  sourceTables(world)
  world.open()
  const delayed = new Map([['DELAY', '1']])
  const offsets = [0, 1, 2, 3, 4, 5, 6, 7].map((queueOffset) =>
    world.add({ topic: SystemTopic.SCHEDULE, queueOffset, properties: delayed }),
  )
  // Below the snapshot's position: 3 was delivered before 2, whose write had failed.
  world.mark(1, 3)
  world.position = 2
  world.mark(1, 2)
  world.record({ kind: 'delay', entries: [[1, 4]] })
  world.mark(1, 5)
  world.mark(1, 4)
  const built = world.builder.finish(world.end)
  world.builder.close()
  const { offsetTable } = world.table('delayOffset.json')
  assert.deepEqual({ ...(offsetTable as object) }, { 1: 5 })
  const units = world.units(SystemTopic.SCHEDULE, 0)
  const size = offsets[1]! - offsets[0]!
  assert.deepEqual(
    units.map((unit) => Number(unit.split(' ')[1])),
    [size, size, size, size, size, 8, size, size],
  )
  assert.equal(built.delayedPending, 2)
})

test('a delayed message keeps the time that it was given under other levels', () => {
  const world = new World()
  const queues = new ConsumeQueues({
    directory: join(world.source, 'consumequeue'),
    fileBytes: 200,
  })
  const delayed = new Map([['DELAY', '2']])
  world.open()
  const size = messageSize(messageParts({ topic: SystemTopic.SCHEDULE, properties: delayed }))
  queues.append(SystemTopic.SCHEDULE, 1, 0, 48, size, 77_000)
  queues.close()
  const message = { topic: SystemTopic.SCHEDULE, queueId: 1, properties: delayed }
  world.builder.abandon()
  world.open()
  world.add({ ...message, queueOffset: 0 })
  world.add({ ...message, queueOffset: 1 })
  world.builder.finish(world.end)
  world.builder.close()
  const found = new StoppedQueues(join(world.root, 'consumequeue'))
  assert.equal(found.unitAt(SystemTopic.SCHEDULE, 1, 0)?.tagsCode, 77_000)
  assert.equal(found.unitAt(SystemTopic.SCHEDULE, 1, 1)?.tagsCode, 1000 + 5000)
})

test('a run that resumes from a mark ends with the same queues, index and tables', () => {
  const steps = (world: World, from: number, to: number): void => {
    for (let step = from; step < to; step++) {
      world.position = step
      if (step % 10 === 9) world.record({ kind: 'offsets', entries: [['T', 'G', step % 3, step]] })
      else {
        const properties = new Map([['KEYS', `k${step}`]])
        const queueOffset = Math.floor(step / 3)
        world.add({ topic: 'T', queueId: step % 3, queueOffset, properties })
      }
    }
  }
  const whole = new World().open()
  steps(whole, 0, 60)
  whole.builder.finish(whole.end)
  whole.builder.close()
  const world = new World().open()
  steps(world, 0, 25)
  const mark = JSON.parse(JSON.stringify(world.builder.save()))
  const endOffset = world.end
  steps(world, 25, 50)
  world.builder.save()
  world.builder.abandon()
  world.open({ resume: { mark, endOffset } })
  steps(world, 25, 60)
  world.builder.finish(world.end)
  world.builder.close()
  const queuesOf = ({ root }: World): unknown => queueUnitsOf(join(root, 'consumequeue'))
  assert.deepEqual(queuesOf(world), queuesOf(whole))
  assert.deepEqual(
    world.table('consumerOffset.json').offsetTable,
    whole.table('consumerOffset.json').offsetTable,
  )
  const indexOf = ({ root }: World): string[] => {
    return readdirSync(join(root, 'index')).map((name) =>
      readFileSync(join(root, 'index', name), 'hex'),
    )
  }
  assert.deepEqual(indexOf(world), indexOf(whole))
})

test('inner batches keep the queue that they had, and are refused where they have none', () => {
  const world = new World().open()
  const batch = { topic: 'B', sysFlag: MessageSysFlag.INNER_BATCH | MessageSysFlag.NEED_UNWRAP }
  world.add(batch, true)
  assert.throws(() => world.add(batch), { code: 'BAD_REQUEST', message: /has batch queues/ })
  world.builder.abandon()
})

test('a topic of batches gets no ordinary queue, with which Apache would not start', () => {
  const world = new World()
  const queues = new ConsumeQueues({
    directory: join(world.source, 'consumequeue'),
    fileBytes: 200,
  })
  // As our broker has them: a unit for each offset.
  for (let offset = 0; offset < 3; offset++) queues.append('B', 0, offset, 0, 157, 0)
  for (let offset = 0; offset < 3; offset++) queues.append('Gone', 0, offset, 50, 157, 0)
  queues.close()
  world.open({ logFirstOffset: 4096 })
  const config = { ...defaultTopicConfig('Gone', 1), attributes: { 'queue.type': 'BatchCQ' } }
  world.record({ kind: 'topic', config })
  const sysFlag = MessageSysFlag.INNER_BATCH | MessageSysFlag.NEED_UNWRAP
  world.add({ topic: 'B', sysFlag, body: batchBody(3, 0), queueOffset: 0 }, true)
  const built = world.builder.finish(100_000)
  world.builder.close()
  assert.deepEqual([built.queues, built.shortQueues], [0, []])
  assert.deepEqual(readdirSync(join(world.root, 'consumequeue')), [])
})

test('a queue file has the time of its last message, by which 4.9.4 looks times up', () => {
  const world = new World().open()
  const log: Buffer[] = []
  for (let queueOffset = 0; queueOffset < 13; queueOffset++) {
    const parts = messageParts({ topic: 'T', storeTimestampMs: 5_000_000 + 1000 * queueOffset })
    const bytes = Buffer.alloc(messageSize(parts))
    encodeMessage(bytes, 0, parts)
    log.push(bytes)
    world.add({ topic: 'T', queueOffset, storeTimestampMs: 5_000_000 + 1000 * queueOffset })
  }
  writeFileSync(join(world.root, 'commitlog', '0'.repeat(20)), Buffer.concat(log))
  world.builder.finish(world.end)
  world.builder.close()
  const queue = join(world.root, 'consumequeue', 'T', '0')
  const times = readdirSync(queue).map((name) => statSync(join(queue, name)).mtimeMs)
  assert.deepEqual(times, [5_009_000, 5_012_000])
})
