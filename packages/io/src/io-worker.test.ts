import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import { Doorbell, LogArena } from 'sharedarraybuffer-ringbuffer'
import { CoreFake } from './core-fake.ts'
import {
  allocateIoPort,
  IoClient,
  type IoEventHandlers,
  type IoWorkerData,
  LogFileReader,
  openStore,
  startIoWorker,
} from './index.ts'

const SEGMENT_BYTES = 64 * 1024
const EMPTY = { position: 0, index: -1, term: -1, chainCrc: 0 }

const noEvents: IoEventHandlers = {
  onDurable: () => {},
  onTruncated: () => assert.fail('no cut was asked for'),
  onHardStateSaved: () => assert.fail('no save was asked for'),
  onFailed: (file, error) => assert.fail(`${file}: ${error}`),
  onDiskFull: () => assert.fail('the disk is not full'),
  onDiskOk: () => {},
}

async function workerData(t: TestContext): Promise<IoWorkerData> {
  const rootDirectory = await mkdtemp(join(tmpdir(), 'ringledger-io-'))
  t.after(() => rm(rootDirectory, { recursive: true, force: true }))
  return {
    config: { rootDirectory, selfId: 'n0', segmentBytes: SEGMENT_BYTES, minimumFreeBytes: 1 },
    arena: LogArena.allocate({ sizeBytes: 256 * 1024, maxEntryBytes: 8192 }),
    port: allocateIoPort(),
    coreDoorbell: Doorbell.allocate(),
  }
}

/** The core thread's side of a real worker. */
class Seam {
  readonly core: CoreFake
  readonly client: IoClient
  readonly #bell: Doorbell

  constructor(data: IoWorkerData) {
    this.core = new CoreFake(data.arena, SEGMENT_BYTES, EMPTY)
    this.client = new IoClient(data.port, this.core.arena)
    this.#bell = new Doorbell(data.coreDoorbell)
  }

  /** Sends what was asked, and resolves when one of the handlers calls `done`. */
  until<Value>(
    handlers: (done: (value: Value) => void) => Partial<IoEventHandlers>,
  ): Promise<Value> {
    this.client.flush()
    return new Promise((resolve) => {
      const all = {
        ...noEvents,
        ...handlers((value) => {
          listener.close()
          resolve(value)
        }),
      }
      const listener = this.#bell.listen(() => this.client.poll(all), 0)
    })
  }

  async write(count: number, term: number): Promise<void> {
    for (let i = 0; i < count; i++) assert.ok(this.core.append(term, 1000, i))
    this.client.write(this.core.end.position)
    await this.until<void>((done) => ({
      onDurable: (position) => {
        if (position === this.core.end.position) done()
      },
    }))
  }
}

test('a worker thread writes, saves, cuts and closes', { timeout: 60_000 }, async (t) => {
  const data = await workerData(t)
  const { worker, recovered } = await startIoWorker(data)
  const exited = new Promise((resolve) => worker.once('exit', resolve))
  assert.equal(recovered.tail.lastIndex, -1)
  const seam = new Seam(data)
  await seam.write(100, 1)

  seam.client.saveHardState({ term: 3, votedFor: 'n2' }, 17)
  assert.equal(await seam.until<number>((done) => ({ onHardStateSaved: done })), 17)

  const reader = new LogFileReader(data.config)
  const cutAt = reader.entryPositionOfIndex(71)
  assert.ok(cutAt > 0)
  seam.client.truncate(cutAt, 5)
  const cut = await seam.until<{ lastIndex: number; endPosition: number; lastChainCrc: number }>(
    (done) => ({ onTruncated: done }),
  )
  assert.deepEqual([cut.lastIndex, cut.endPosition], [70, cutAt])
  seam.core.cut({ position: cutAt, index: 70, term: 1, chainCrc: cut.lastChainCrc })
  reader.close()
  await seam.write(50, 2)
  seam.client.close()
  await seam.until<void>((done) => ({ onClosed: done }))
  assert.equal(await exited, 0)

  const again = openStore(data.config)
  t.after(() => again.store.abandon())
  assert.equal(again.recovered.cleanShutdown, true)
  assert.equal(again.recovered.tail.endPosition, seam.core.end.position)
  assert.equal(again.recovered.lastChainCrc, seam.core.end.chainCrc)
  assert.deepEqual(again.recovered.hardState, { term: 3, votedFor: 'n2' })
  const spans = again.recovered.tail.spans.map((span) => [span.term, span.firstIndex])
  assert.deepEqual(spans, [
    [1, 0],
    [2, 71],
  ])
})

test('a worker that cannot open its store says why', { timeout: 60_000 }, async (t) => {
  const data = await workerData(t)
  const { store } = openStore(data.config)
  t.after(() => store.abandon())
  await assert.rejects(startIoWorker(data), (error) => {
    return (
      error instanceof LedgerError && error.code === 'BAD_REQUEST' && /in use/.test(error.message)
    )
  })
})

test('a parked worker can be terminated', { timeout: 60_000 }, async (t) => {
  const { worker } = await startIoWorker(await workerData(t))
  assert.equal(await worker.terminate(), 1)
})
