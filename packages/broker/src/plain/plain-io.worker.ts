/**
 * Entry of the IO thread of a plain log: opens the store under its lock, then writes until it is
 * told to close. An error that escapes ends the thread and, with it, the process.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '@ringledger/base'
import { NodeDisk } from '@ringledger/io'
import { Doorbell } from 'sharedarraybuffer-ringbuffer'
import { forgetForeignRun } from './foreign-run.ts'
import { PlainIoAgent } from './plain-io-agent.ts'
import type { PlainIoNote, PlainIoWorkerData } from './plain-launch.ts'
import { recoverPlainLog } from './plain-recovery.ts'
import { refuseRunningApache } from './running-apache.ts'

const LOCK_REFRESH_MS = 5_000

assert(parentPort !== null, 'the IO thread is started as a worker')
const port = parentPort
const { root, config, arena, io, coreBell } = workerData as PlainIoWorkerData
const disk = new NodeDisk()
mkdirSync(root, { recursive: true })
const lock = disk.lock(join(root, 'ringledger-lock'))
try {
  refuseRunningApache(root)
  const recovered = recoverPlainLog(config.directories, config.fileBytes, (level, line) =>
    note({ kind: 'log', level, line }),
  )
  forgetForeignRun(root, (line) => note({ kind: 'log', level: 'info', line }))
  const nowMs = (): number => performance.now()
  const { endPosition } = recovered
  const agent = new PlainIoAgent({ config, disk, arena, io, coreBell, endPosition, nowMs })
  note({ kind: 'recovered', recovered })
  run(agent)
  agent.close()
} finally {
  lock.release()
}
port.close()

function run(agent: PlainIoAgent): void {
  const bell = new Doorbell(io.bell)
  let refreshedMs = performance.now()
  while (!agent.done) {
    if (performance.now() - refreshedMs >= LOCK_REFRESH_MS) {
      lock.refresh()
      refreshedMs = performance.now()
    }
    if (!agent.duty()) bell.wait(agent.waitMs, () => agent.hasWork || agent.done)
  }
}

function note(message: PlainIoNote): void {
  port.postMessage(message)
}
