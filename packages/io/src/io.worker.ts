/**
 * Entry of the IO thread: opens the store, says what was found, then alternates duty and sleep
 * until CLOSE. It has no event loop to speak of: nothing asynchronous may be started here. An error
 * that escapes ends the thread and, with it, the process.
 */
import { flushCompileCache } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '@ringledger/base'
import { Doorbell, LogArena } from 'sharedarraybuffer-ringbuffer'
import { IoAgent } from './io-agent.ts'
import type { IoWorkerData, IoWorkerMessage } from './io-launch.ts'
import { openStore } from './recovery.ts'

assert(parentPort !== null, 'the IO worker is started as a worker')
const { config, arena, port, coreDoorbell } = workerData as IoWorkerData
const { store, recovered } = openStore(config)
const agent = new IoAgent({ store, port, arena: new LogArena(arena), coreDoorbell })
parentPort.postMessage({ type: 'recovered', recovered } satisfies IoWorkerMessage)
// A process that is killed would not keep what it compiled; the next start wants it.
flushCompileCache()

const doorbell = new Doorbell(port.doorbell)
while (!agent.closed) {
  if (!agent.duty()) doorbell.wait(agent.sleepMs, agent.hasWork)
}
