/**
 * Entry of the broker thread: opens the store, then runs the agent's duty cycle and sleeps in its
 * doorbell between duties. It has no event loop: orders of the main thread are read when the bell
 * rings.
 */
import { flushCompileCache } from 'node:module'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { assert, LedgerError, systemClock } from '@ringledger/base'
import { isNoSpace } from '@ringledger/base/internal'
import { Doorbell, LogArena, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { BrokerAgent } from './broker-agent.ts'
import { openBrokerLog } from './broker-log.ts'
import { RingCorePort } from './core-port.ts'
import { parseDelayLevels } from './delay-levels.ts'
import { usedRatioOf } from './disk-state.ts'
import { isPlain } from './settings.ts'
import { StartWork } from './start-work.ts'
import { BrokerStore } from './store/broker-store.ts'
import { readTakeOverRecords } from './take-over-records.ts'
import { topicsNote } from './topics-note.ts'
import {
  type BrokerNote,
  type BrokerOrder,
  type BrokerWorkerData,
  DAMAGED_WORD_AT,
  DISK_FULL_WORD_AT,
  LOG_START_WORD_AT,
} from './wiring.ts'

assert(parentPort !== null, 'the broker thread is started as a worker')
const mainPort = parentPort
/** Longest time by which what is committed is applied later, while nobody waits for it. */
const NAP_MS = 2
/** Between two pieces of what is written back, while messages come. */
const PAUSE_MS = 1
let closing = false
let dispatchedBefore = -1
let draining = false
const data = workerData as BrokerWorkerData
const { settings, shared, logEndPosition } = data
const arena = new LogArena(shared.arena)
const damagedWord = new Int32Array(shared.coreState, DAMAGED_WORD_AT, 1)
const diskFullWord = new Int32Array(shared.coreState, DISK_FULL_WORD_AT, 1)
const ownBell = new Doorbell(shared.brokerBell)
const port = new RingCorePort({
  core: {
    toBroker: new SpscRing(shared.coreToBroker),
    fromBroker: new SpscRing(shared.brokerToCore),
    bell: new Doorbell(shared.coreBell),
  },
  fronts: shared.fronts.map((front) => ({
    toBroker: new SpscRing(front.toBroker),
    fromBroker: new SpscRing(front.fromBroker),
    bell: new Doorbell(front.bell),
  })),
  ownBell,
  closed: closeOrdered,
})
let agent: BrokerAgent | undefined
const { files, firstPosition, segments, directory } = openBrokerLog(data, arena, port)
// The core thread, which is started later, says here when the log is begun anew.
const logStartWord = new BigInt64Array(shared.coreState, LOG_START_WORD_AT, 1)
Atomics.store(logStartWord, 0, BigInt(firstPosition))
const work = new StartWork(
  (text) => note({ kind: 'work', text }),
  (line) => note({ kind: 'log', level: 'info', line }),
)
const store = BrokerStore.open(
  {
    rootDirectory: settings.storePathRootDir,
    arena,
    files,
    logFirstPosition: firstPosition,
    logEndPosition,
    logStart: () => Number(Atomics.load(logStartWord, 0)),
    consumeQueueFileBytes: settings.mappedFileSizeConsumeQueue,
    indexSlots: settings.maxHashSlotNum,
    indexEntries: settings.maxIndexNum,
    delayLevelsMs: parseDelayLevels(settings.messageDelayLevel),
    log: (line) => note({ kind: 'log', level: 'info', line }),
    onProgress: (position, endPosition) => {
      work.progress(
        'builds queues and index',
        position - firstPosition,
        endPosition - firstPosition,
      )
      if (position >= endPosition) note({ kind: 'work', text: '' })
    },
  },
  {
    onMessage: (queue, queueOffset, tagsCode) => agent?.onMessage(queue, queueOffset, tagsCode),
    onRecord: (record) => agent?.onRecord(record),
    onReplaced: () => agent?.onReplaced(),
  },
)
// Core is started after this; until it runs, nothing may be written that the ring might not hold.
note({ kind: 'ready' })
agent = new BrokerAgent({
  settings: { ...settings, storePathDLedgerCommitLog: directory },
  clock: systemClock,
  random: Math.random,
  port,
  store,
  takeOver: isPlain(settings) ? [] : readTakeOverRecords(settings.storePathRootDir, warn),
  processId: process.pid,
  damagedEntries: () => Atomics.load(damagedWord, 0),
  segments,
  usedRatios: () => ({
    log: usedRatioOf(directory),
    rest: usedRatioOf(settings.storePathRootDir),
  }),
  diskFull: () => Atomics.load(diskFullWord, 0) !== 0,
  report: {
    topicsChanged: () => note(topicsNote(store.state, settings.brokerPermission)),
    serving: (term) => note({ kind: 'serving', term, leader: true }),
    log: (level, line) => note({ kind: 'log', level, line }),
  },
})

// A process that is killed would not keep what it compiled; the next start wants it.
flushCompileCache()
try {
  while (!closeOrdered()) {
    if (agent.duty()) continue
    if (draining) {
      draining = false
      note({ kind: 'drained' })
    }
    const waitMs = agent.waitMs()
    sleep(agent.mayNap, agent.unwritten ? Math.min(waitMs, PAUSE_MS) : waitMs)
  }
} catch (error) {
  // Answers for clients that are gone found a full ring, and nobody to empty it.
  if (!closing || !(error instanceof LedgerError) || error.code !== 'CLOSED') throw error
}
closeStore()
note({ kind: 'closed' })
mainPort.close()

/** Of a stream of commits one wake a nap is paid, not one a commit. */
function sleep(mayNap: boolean, waitMs: number): void {
  const moved = arena.dispatched !== dispatchedBefore
  dispatchedBefore = arena.dispatched
  if (moved && mayNap) ownBell.nap(Math.min(waitMs, NAP_MS), () => port.pending)
  else ownBell.wait(waitMs, hasWork)
}

function note(message: BrokerNote): void {
  mainPort.postMessage(message)
}

function warn(line: string): void {
  note({ kind: 'log', level: 'warn', line })
}

/** On a full disk nothing is written; the next start builds what is missing from the log. */
function closeStore(): void {
  try {
    store.close()
  } catch (error) {
    if (!isNoSpace(error)) throw error
    store.abandon()
    note({ kind: 'log', level: 'warn', line: `closed without space: ${String(error)}` })
  }
}

function hasWork(): boolean {
  return port.pending || (arena.committed > arena.dispatched && !store.stuck)
}

function closeOrdered(): boolean {
  const received = receiveMessageOnPort(mainPort) as { message: BrokerOrder } | undefined
  closing ||= received?.message.kind === 'close'
  if (received?.message.kind === 'drain') {
    draining = true
    agent?.stopHolding()
  }
  return closing
}
