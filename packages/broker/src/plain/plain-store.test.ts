/** Queues, key index and tables of a broker in plain mode, which has no records in its log. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { NodeDisk } from '@ringledger/io'
import { parseLenientJson } from '@ringledger/protocol'
import { delayMark } from '../delay-levels.ts'
import { PlainLogSegments } from '../log-segments.ts'
import { defaultTopicConfig } from '../state/configs.ts'
import { BrokerStore } from '../store/broker-store.ts'
import { PlainLog } from '../store/plain-log.ts'
import { forgetForeignRun } from './foreign-run.ts'
import { PlainFilesReader } from './plain-files-reader.ts'
import { recoverPlainLog } from './plain-recovery.ts'
import { FILE_BYTES, PlainWriter } from './plain-writer-fake.ts'

class Node {
  readonly root: string
  readonly directory: string
  writer: PlainWriter
  plain: PlainLog
  store: BrokerStore

  constructor(context: TestContext) {
    this.root = mkdtempSync(join(tmpdir(), 'plain-store-'))
    context.after(() => rmSync(this.root, { recursive: true }))
    this.directory = join(this.root, 'commitlog')
    mkdirSync(this.directory)
    ;[this.writer, this.plain, this.store] = this.#open()
  }

  open(): void {
    ;[this.writer, this.plain, this.store] = this.#open()
  }

  /** `how`: what the run before leaves. */
  restart(how: 'closed' | 'killed'): void {
    if (how === 'closed') this.store.close()
    else this.store.abandon()
    this.open()
  }

  write(bodyBytes: number, mark = 0): number {
    const position = this.writer.append(bodyBytes, mark)
    this.writer.turn()
    this.writer.io.duty()
    this.writer.turn()
    while (this.store.duty()) {}
    return position
  }

  /** Write-back of an idle turn, its time come. */
  tick(): void {
    const { store } = this
    for (const nowMs of [100_000, 200_000, 300_000]) while (store.tick(nowMs, true)) {}
  }

  table(file: string): Record<string, unknown> {
    const text = readFileSync(join(this.root, 'config', file), 'utf8')
    return parseLenientJson(text) as Record<string, unknown>
  }

  #open(): [PlainWriter, PlainLog, BrokerStore] {
    const { directory } = this
    const { firstPosition, endPosition } = recoverPlainLog(directory, FILE_BYTES, () => {})
    forgetForeignRun(this.root, () => {})
    const writer = new PlainWriter({ disk: new NodeDisk(), directories: directory, endPosition })
    const plain = PlainLog.growing({
      directories: directory,
      endPosition: () => Math.max(endPosition, writer.arena.committed),
    })
    const store = BrokerStore.open(
      {
        rootDirectory: this.root,
        arena: writer.arena,
        files: new PlainFilesReader(plain),
        logFirstPosition: firstPosition,
        logEndPosition: endPosition,
        consumeQueueFileBytes: 2000,
        indexSlots: 100,
        indexEntries: 400,
      },
      { onMessage() {}, onRecord() {}, onReplaced() {} },
    )
    while (store.duty()) {}
    return [writer, plain, store]
  }
}

function assertHolds(node: Node, positions: readonly number[]): void {
  const { store } = node
  const queue = store.queues.find('T', 0)
  assert.equal(queue?.maxOffset, positions.length)
  const unit = { physicalOffset: 0, sizeBytes: 0, tagsCode: 0 }
  for (const [offset, position] of positions.entries()) {
    assert.ok(queue.unitAt(offset, unit))
    assert.equal(unit.physicalOffset, position)
    assert.equal(store.reader.sizeAt(position), unit.sizeBytes)
    const target = Buffer.alloc(unit.sizeBytes)
    assert.ok(store.reader.read(position, unit.sizeBytes, target, 0))
  }
}

test('messages are in their queues after writes over several files, a stop and a kill', (context) => {
  const node = new Node(context)
  const positions: number[] = []
  for (const how of ['closed', 'killed', 'killed'] as const) {
    // Messages of one queue are numbered by the writer, which begins anew with each run.
    for (let count = 0; count < 25; count++) positions.push(node.write(1000))
    node.tick()
    assertHolds(node, positions)
    node.restart(how)
    assertHolds(node, positions)
    node.writer.skip(positions.length)
  }
})

test('what is not committed is not shown', (context) => {
  const node = new Node(context)
  const shown = node.write(100)
  const hidden = node.writer.append(100)
  node.writer.turn()
  assert.ok(!node.store.duty())
  assert.ok(node.store.reader.sizeAt(shown) > 0)
  assert.equal(node.store.reader.sizeAt(hidden), -1)
})

test('a change of the tables is in their files soon, and there after a kill', (context) => {
  const node = new Node(context)
  const config = { ...defaultTopicConfig('Made'), readQueueNums: 3, writeQueueNums: 3 }
  node.store.applyHere({ kind: 'topic', config })
  node.store.applyHere({ kind: 'offsets', entries: [['Made', 'G', 1, 42]] })
  node.tick()
  assert.match(JSON.stringify(node.table('topics.json')), /"Made"/)
  node.restart('killed')
  assert.equal(node.store.state.topics.get('Made')?.readQueueNums, 3)
  assert.equal(node.store.state.offset('Made', 'G', 1), 42)
  node.store.applyHere({ kind: 'deleteTopic', topic: 'Made' })
  node.restart('closed')
  assert.ok(!node.store.state.topics.has('Made'))
  assert.equal(node.store.state.offset('Made', 'G', 1), -1)
})

test('what another broker wrote into the tables is taken, and its messages follow', (context) => {
  const node = new Node(context)
  node.write(100)
  node.store.applyHere({ kind: 'delay', entries: [[2, 5]] })
  node.store.close()
  const config = join(node.root, 'config')
  const offsetTable = { 'T@G': { 0: 1 } }
  writeFileSync(join(config, 'consumerOffset.json'), JSON.stringify({ offsetTable }))
  writeFileSync(join(config, 'delayOffset.json'), '{"offsetTable":{2:9}}')
  node.writer.append(100, delayMark(2, 9))
  node.writer.turn()
  node.writer.io.duty()
  writeFileSync(join(node.root, 'lock'), 'lock')
  node.open()
  assert.equal(node.store.state.offset('T', 'G', 0), 1)
  assert.equal(node.store.state.delayOffset(2), 9)
  assert.equal(node.store.queues.maxOffset('T', 0), 2)
})

test('progress of delays is as exact as the log after a kill', (context) => {
  const node = new Node(context)
  node.store.applyHere({ kind: 'delay', entries: [[2, 5]] })
  node.tick()
  node.write(100, delayMark(2, 5))
  node.write(100, delayMark(2, 6))
  assert.equal(node.store.state.delayOffset(2), 7)
  node.restart('killed')
  assert.equal(node.store.state.delayOffset(2), 7)
})

test('files are deleted below what queues and tables have on the disk', (context) => {
  const node = new Node(context)
  for (let count = 0; count < 30; count++) node.write(1000)
  const segments = new PlainLogSegments(node.plain)
  const [oldest] = segments.list()
  assert.ok(node.store.deletableTo < oldest!.endPosition)
  node.tick()
  assert.ok(node.store.deletableTo > oldest!.endPosition)
  node.store.logFirstPosition = oldest!.endPosition
  segments.removeBelow(oldest!.endPosition)
  assert.equal(node.store.reader.sizeAt(0), -1)
  node.restart('closed')
  assert.equal(node.store.logFirstPosition, oldest!.endPosition)
  assert.ok(!node.store.lacksState)
})
