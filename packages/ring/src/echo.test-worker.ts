/**
 * The other thread of the two-thread test: sends every frame back, waits only for its doorbell,
 * ends on frame type 0.
 */
import { workerData } from 'node:worker_threads'
import { Doorbell } from './doorbell.ts'
import { SpscRing } from './spsc-ring.ts'

const { toWorker, toMain, workerBell, mainBell } = workerData as Record<string, SharedArrayBuffer>
const input = new SpscRing(toWorker!)
const output = new SpscRing(toMain!)
const ownBell = new Doorbell(workerBell!)
const otherBell = new Doorbell(mainBell!)

let stopped = false
let blocked = false

function echo(type: number, offset: number, sizeBytes: number): boolean {
  if (type === 0) {
    stopped = true
    return true
  }
  const target = output.claim(sizeBytes, type)
  blocked = target < 0
  if (blocked) return false
  input.bytes.copy(output.bytes, target, offset, offset + sizeBytes)
  output.commit()
  return true
}

while (!stopped) {
  input.drain(echo)
  const published = output.publish()
  if (published || input.takeStarved()) otherBell.ring()
  if (!stopped) {
    ownBell.wait(
      Number.POSITIVE_INFINITY,
      () => input.pending && (!blocked || output.claim(64, 1) >= 0),
    )
  }
}
