import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Doorbell, LogArena } from 'sharedarraybuffer-ringbuffer'
import { CoreFake } from './core-fake.ts'
import {
  allocateIoPort,
  IoClient,
  type IoEventHandlers,
  LogFileReader,
  openStore,
  type StoreConfig,
  startIoWorker,
} from './index.ts'

const noEvents: IoEventHandlers = {
  onDurable: () => {},
  onTruncated: () => assert.fail('no cut was asked for'),
  onHardStateSaved: () => assert.fail('no save was asked for'),
  onFailed: (file, error) => assert.fail(`${file}: ${error}`),
  onDiskFull: () => assert.fail('the disk is not full'),
  onDiskOk: () => {},
}

test('a worker thread writes, syncs, saves, cuts and closes', { timeout: 60_000 }, async (t) => {
  const rootDirectory = await mkdtemp(join(tmpdir(), 'ringledger-io-'))
  t.after(() => rm(rootDirectory, { recursive: true, force: true }))
  const config: StoreConfig = {
    rootDirectory,
    selfId: 'n0',
    segmentBytes: 64 * 1024,
    minimumFreeBytes: 1,
    zeroAheadBytes: 0,
  }
  const shared = LogArena.allocate({ sizeBytes: 256 * 1024, maxEntryBytes: 8192 })
  const port = allocateIoPort()
  const coreBell = Doorbell.allocate()
  const data = { config, arena: shared, port, coreDoorbell: coreBell }
  const { worker, recovered } = await startIoWorker(data)
  const exited = new Promise((resolve) => worker.once('exit', resolve))
  assert.equal(recovered.tail.endPosition, 0)
  assert.equal(recovered.tail.lastIndex, -1)

  const start = { position: 0, index: -1, term: -1, chainCrc: 0 }
  const core = new CoreFake(shared, 64 * 1024, start)
  const client = new IoClient(port, core.arena)
  const bell = new Doorbell(coreBell)

  const until = <Value>(set: (done: (value: Value) => void) => IoEventHandlers): Promise<Value> =>
    new Promise((resolve) => {
      const handlers = set((value) => {
        listener.close()
        resolve(value)
      })
      const listener = bell.listen(() => client.poll(handlers))
    })

  for (let i = 0; i < 100; i++) assert.ok(core.append(1, 1000, i))
  client.write(core.end.position)
  const lapped = until<number>((done) => ({
    ...noEvents,
    onDurable: (position) => {
      if (position === core.end.position) done(position)
    },
  }))
  client.flush()
  await lapped

  const saved = until<number>((done) => ({ ...noEvents, onHardStateSaved: done }))
  client.saveHardState({ term: 3, votedFor: 'n2' }, 17)
  client.flush()
  assert.equal(await saved, 17)

  const reader = new LogFileReader(config)
  const cutAt = reader.entryPositionOfIndex(70)
  assert.ok(cutAt > 0)
  const cut = until<{ lastIndex: number; endPosition: number; lastChainCrc: number }>((done) => ({
    ...noEvents,
    onTruncated: done,
  }))
  client.truncate(reader.rangeEnd(cutAt, 1), 5)
  client.flush()
  const truncated = await cut
  assert.equal(truncated.lastIndex, 70)
  core.cut({
    position: truncated.endPosition,
    index: 70,
    term: 1,
    chainCrc: truncated.lastChainCrc,
  })
  reader.forget(truncated.endPosition)
  for (let i = 0; i < 50; i++) assert.ok(core.append(2, 900, i))
  client.write(core.end.position)
  client.close()
  const closed = until<void>((done) => ({ ...noEvents, onClosed: () => done() }))
  client.flush()
  await closed
  await exited
  reader.close()

  const again = openStore(config)
  t.after(() => again.store.abandon())
  assert.equal(again.recovered.cleanShutdown, true)
  assert.equal(again.recovered.tail.endPosition, core.end.position)
  assert.equal(again.recovered.tail.lastIndex, 120)
  assert.equal(again.recovered.lastChainCrc, core.end.chainCrc)
  assert.deepEqual(again.recovered.hardState, { term: 3, votedFor: 'n2' })
  assert.deepEqual(
    again.recovered.tail.spans.map((span) => [span.term, span.firstIndex]),
    [
      [1, 0],
      [2, 71],
    ],
  )
})
