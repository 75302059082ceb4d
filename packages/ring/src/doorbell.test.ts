import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Doorbell } from './doorbell.ts'
import { SpscRing } from './spsc-ring.ts'

const PAYLOAD_BYTES = 64

/** Echoes frames through a worker with no timer anywhere: one lost wake and it never ends. */
async function echoThroughWorker(frames: number, capacityBytes: number, burst: number) {
  const toWorker = SpscRing.allocate(capacityBytes)
  const toMain = SpscRing.allocate(capacityBytes)
  const workerBell = Doorbell.allocate()
  const mainBell = Doorbell.allocate()
  const worker = new Worker(new URL('./echo.test-worker.ts', import.meta.url), {
    workerData: { toWorker, toMain, workerBell, mainBell },
  })
  const exited = once(worker, 'exit')
  const output = new SpscRing(toWorker)
  const input = new SpscRing(toMain)
  const bell = new Doorbell(workerBell)
  let sent = 0
  let received = 0
  const done = Promise.withResolvers<void>()
  const send = (): void => {
    while (sent < frames && sent - received < burst) {
      const offset = output.claim(PAYLOAD_BYTES, 1)
      if (offset < 0) break
      output.view.setFloat64(offset, sent)
      output.commit()
      sent++
    }
    if (output.publish()) bell.ring()
  }
  const listening = new Doorbell(mainBell).listen(() => {
    input.drain((_type, offset) => {
      assert.equal(input.view.getFloat64(offset), received)
      received++
    })
    if (input.takeStarved()) bell.ring()
    if (received === frames) done.resolve()
    else send()
  }, 0)
  await Promise.race([done.promise, exited.then(() => done.reject(new Error('worker ended')))])
  listening.close()
  output.claim(0, 0)
  output.commit()
  output.publish()
  bell.ring()
  assert.deepEqual(await exited, [0])
  return received
}

test('no wake is lost with one frame in flight', { timeout: 60_000 }, async () => {
  assert.equal(await echoThroughWorker(20_000, 4096, 1), 20_000)
})

test('no wake is lost when both rings run full all the time', { timeout: 60_000 }, async () => {
  assert.equal(await echoThroughWorker(100_000, 1024, 1000), 100_000)
})

test('a ring between the flag and the sleep is not lost', () => {
  const bell = new Doorbell(Doorbell.allocate())
  let looks = 0
  // Without bound: if the ring from inside the last look were lost, this would not return.
  bell.wait(Number.POSITIVE_INFINITY, () => {
    looks++
    bell.ring()
    return false
  })
  assert.equal(looks, 1)
  bell.wait(Number.POSITIVE_INFINITY, () => true)
  bell.wait(0, () => false)
})

test('what has time until the end of a nap wakes who sleeps and not who naps', () => {
  const bell = new Doorbell(Doorbell.allocate())
  const state = new Int32Array(bell.shared, 0, 1)
  bell.wait(Number.POSITIVE_INFINITY, () => {
    bell.ringUnlessNapping()
    return false
  })
  bell.nap(Number.POSITIVE_INFINITY, () => {
    const napping = state[0]
    bell.ringUnlessNapping()
    assert.equal(state[0], napping)
    bell.ring()
    assert.notEqual(state[0], napping)
    return false
  })
  // Ends by itself.
  bell.nap(1, () => false)
  const awake = state[0]
  bell.ringUnlessNapping()
  assert.equal(state[0], awake)
})

test('a closed listener calls no more and lets the loop end', async () => {
  const bell = new Doorbell(Doorbell.allocate())
  const woken = Promise.withResolvers<void>()
  let calls = 0
  const listening = bell.listen(() => {
    calls++
    if (calls === 3) woken.resolve()
    else bell.ring()
  }, 0)
  await woken.promise
  listening.close()
  bell.ring()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(calls, 3)
})

test('the recheck calls without a ring', async () => {
  const bell = new Doorbell(Doorbell.allocate())
  const third = Promise.withResolvers<void>()
  let calls = 0
  const listening = bell.listen(() => {
    if (++calls === 3) third.resolve()
  }, 1)
  await third.promise
  listening.close()
})
