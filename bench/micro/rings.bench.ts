/** What crossing a thread costs: frames through a ring, the doorbell, entries in the log arena. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Doorbell, LogArena, SpscRing } from 'sharedarraybuffer-ringbuffer'
import type { MicroBench, OpenBench, Operation } from '../micro-bench.ts'

const RING_BYTES = 1 << 20
const FRAME_TYPE = 7
const ECHO_STOP_TYPE = 0
const ARENA_BYTES = 64 << 20
const MAX_WAIT_MS = 1000

/** Frames of `sizeBytes`, published and drained `perPublish` at a time. */
function throughRing(sizeBytes: number, perPublish: number): Operation {
  const shared = SpscRing.allocate(RING_BYTES)
  const producer = new SpscRing(shared)
  const consumer = new SpscRing(shared)
  const payload = Buffer.alloc(sizeBytes, 0x5a)
  let drained = 0
  let sum = 0
  const onFrame = (type: number, offset: number, bytes: number): void => {
    drained += type === FRAME_TYPE ? 1 : 0
    sum += consumer.bytes[offset]! + consumer.bytes[offset + bytes - 1]!
  }
  const run = (count: number): void => {
    for (let done = 0; done < count; done += perPublish) {
      for (let frame = 0; frame < perPublish; frame++) {
        const offset = producer.claim(sizeBytes, FRAME_TYPE)
        payload.copy(producer.bytes, offset)
        producer.commit()
      }
      producer.publish()
      consumer.drain(onFrame)
    }
  }
  return {
    name: `frame of ${sizeBytes} B, ${perPublish} a publish`,
    batch: 1024,
    bytes: sizeBytes,
    run,
    check: () => {
      drained = 0
      sum = 0
      run(perPublish)
      assert.equal(drained, perPublish)
      assert.equal(sum, perPublish * 2 * 0x5a)
      assert.equal(consumer.pending, false)
    },
  }
}

/** What a publisher pays for each batch while the other side is at work anyway. */
function ringAwake(): Operation {
  const bell = new Doorbell(Doorbell.allocate())
  const run = (count: number): void => {
    for (let index = 0; index < count; index++) bell.ring()
  }
  return { name: 'doorbell of an owner that is awake', batch: 4096, run, check: () => run(1) }
}

/** Entries of 1 KiB in an arena whose bytes are durable at once. */
function claimInArena(): Operation {
  const arena = new LogArena(LogArena.allocate({ sizeBytes: ARENA_BYTES, maxEntryBytes: 1 << 20 }))
  const entryBytes = 1024
  let position = 0
  const run = (count: number): void => {
    for (let index = 0; index < count; index++) {
      const offset = arena.claim(position, entryBytes)
      arena.view.setInt32(offset, index)
      position += entryBytes
    }
    arena.appended = position
    arena.durable = position
    arena.committed = position
    arena.dispatched = position
  }
  return {
    name: 'arena: claim 1 KiB',
    batch: 256,
    run,
    check: () => {
      const before = position
      run(1)
      assert.equal(arena.holds(before), true)
      assert.equal(arena.view.getInt32(arena.offsetOf(before)), 0)
      assert.equal(arena.appended, before + entryBytes)
    },
  }
}

/** A frame to another thread and back, both asleep in between. */
async function roundTrip(): Promise<{ operation: Operation; stop(): void }> {
  const workerData = {
    toWorker: SpscRing.allocate(RING_BYTES),
    toMain: SpscRing.allocate(RING_BYTES),
    workerBell: Doorbell.allocate(),
    mainBell: Doorbell.allocate(),
  }
  const echo = new URL('../../packages/ring/src/echo.test-worker.ts', import.meta.url)
  const worker = new Worker(echo, { workerData })
  await once(worker, 'online')
  const output = new SpscRing(workerData.toWorker)
  const input = new SpscRing(workerData.toMain)
  const workerBell = new Doorbell(workerData.workerBell)
  const mainBell = new Doorbell(workerData.mainBell)
  const hasAnswer = (): boolean => input.pending
  let answer = 0
  let next = 0
  const onFrame = (_type: number, offset: number): void => {
    answer = input.view.getInt32(offset)
  }
  const send = (type: number): void => {
    output.view.setInt32(output.claim(8, type), ++next)
    output.commit()
    output.publish()
    workerBell.ring()
  }
  const run = (count: number): void => {
    for (let index = 0; index < count; index++) {
      send(FRAME_TYPE)
      while (!input.pending) mainBell.wait(MAX_WAIT_MS, hasAnswer)
      input.drain(onFrame)
    }
  }
  const check = (): void => {
    run(1)
    assert.equal(answer, next)
  }
  const name = 'to another thread and back, both asleep'
  return { operation: { name, batch: 1, run, check }, stop: () => send(ECHO_STOP_TYPE) }
}

async function open(): Promise<OpenBench> {
  const { operation, stop } = await roundTrip()
  return {
    operations: [
      throughRing(64, 64),
      throughRing(64, 1),
      throughRing(1024, 64),
      ringAwake(),
      claimInArena(),
      operation,
    ],
    close: stop,
  }
}

export const bench: MicroBench = {
  title: 'byte ring, doorbell, log arena; a round trip between threads',
  open,
}
