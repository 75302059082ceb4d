/**
 * The broker's state in figures (28), under the keys that RocketMQ's tools read
 * (rocketmq-remoting.md §3.5). Where this broker has no such thing (thread pools with queues, a
 * timer wheel, a page cache lock) the figure is that of an idle one: 0.
 */
import {
  jsonBody,
  OWN_VERSION_TEXT,
  RequestCode,
  ResponseCode,
  SystemTopic,
} from '@ringledger/protocol'
import type { BrokerContext, Handler } from '../context.ts'
import { diskUsageOf } from '../disk-state.ts'
import { StatName, WHOLE_BROKER } from '../stats.ts'

type Table = Record<string, string>

/** Spans of the rates in `putTps` and its like. */
const RATE_SPANS_MS = [10_000, 60_000, 600_000]
const DAY_SECONDS = 86_400

export const handleRuntimeInfo: Handler = (_request, context) => ({
  code: ResponseCode.SUCCESS,
  body: jsonBody({
    table: {
      ...identity(context),
      ...messageTotals(context),
      ...logState(context),
      ...diskState(context),
      ...delayProgress(context),
      ...ABSENT_PARTS,
    },
  }),
})

/** What Apache has and this broker has not, as the tools want it: present and a number. */
const ABSENT_PARTS: Readonly<Table> = {
  sendThreadPoolQueueSize: '0',
  sendThreadPoolQueueHeadWaitTimeMills: '0',
  pullThreadPoolQueueSize: '0',
  pullThreadPoolQueueHeadWaitTimeMills: '0',
  litePullThreadPoolQueueSize: '0',
  litePullThreadPoolQueueHeadWaitTimeMills: '0',
  queryThreadPoolQueueSize: '0',
  queryThreadPoolQueueHeadWaitTimeMills: '0',
  ackThreadPoolQueueSize: '0',
  ackThreadPoolQueueHeadWaitTimeMills: '0',
  EndTransactionQueueSize: '0',
  pageCacheLockTimeMills: '0',
  timerReadBehind: '0',
  timerOffsetBehind: '0',
  timerCongestNum: '0',
  timerEnqueueTps: '0.0',
  timerDequeueTps: '0.0',
}

function identity({ clock, startedAtMs, role, diskFull, damagedEntries }: BrokerContext): Table {
  const runtimeSeconds = Math.floor((clock.wallMs() - startedAtMs) / 1000)
  return {
    brokerVersionDesc: OWN_VERSION_TEXT,
    brokerActive: 'true',
    bootTimestamp: String(startedAtMs),
    startAcceptSendRequestTimeStamp: '0',
    runtime: durationText(Math.max(runtimeSeconds, 0)),
    raftRole: role.role,
    raftTerm: String(role.term),
    raftLeaderId: role.leaderId,
    diskFull: String(diskFull()),
    damagedEntries: String(damagedEntries()),
  }
}

function durationText(seconds: number): string {
  const days = Math.floor(seconds / DAY_SECONDS)
  const hours = Math.floor((seconds % DAY_SECONDS) / 3600)
  const minutes = Math.floor((seconds % 3600) / 60)
  return `[ ${days} days, ${hours} hours, ${minutes} minutes, ${seconds % 60} seconds ]`
}

function messageTotals({ clock, stats, putCounts, dayTotals }: BrokerContext): Table {
  const nowMs = clock.monotonicMs()
  putCounts.refresh(nowMs)
  const { todayMorning, yesterdayMorning } = dayTotals
  const ratesOf = (name: StatName): string =>
    RATE_SPANS_MS.map((spanMs) => stats.rate(name, WHOLE_BROKER, spanMs, nowMs)).join(' ')
  const put = String(stats.total(StatName.BROKER_PUT_NUMS, WHOLE_BROKER))
  return {
    putTps: ratesOf(StatName.BROKER_PUT_NUMS),
    getTransferredTps: ratesOf(StatName.BROKER_GET_NUMS),
    putMessageTimesTotal: put,
    msgPutTotalTodayNow: put,
    msgPutTotalTodayMorning: String(todayMorning.put),
    msgPutTotalYesterdayMorning: String(yesterdayMorning.put),
    msgGetTotalTodayNow: String(stats.total(StatName.BROKER_GET_NUMS, WHOLE_BROKER)),
    msgGetTotalTodayMorning: String(todayMorning.get),
    msgGetTotalYesterdayMorning: String(yesterdayMorning.get),
  }
}

function logState({ store }: BrokerContext): Table {
  const firstPosition = store.queues.logMinPosition
  const firstMessage = store.reader.messageOffsetAt(firstPosition)
  const sizeBytes = store.reader.sizeAt(firstMessage)
  return {
    commitLogMinOffset: String(firstPosition),
    commitLogMaxOffset: String(store.dispatchedPosition),
    earliestMessageTimeStamp: String(store.reader.storeTimestampAt(firstMessage, sizeBytes)),
  }
}

function diskState({ settings }: BrokerContext): Table {
  const log = diskUsageOf(settings.storePathDLedgerCommitLog)
  const others = diskUsageOf(settings.storePathRootDir)
  const { freeBytes, totalBytes } = log
  return {
    commitLogDiskRatio: ratioText(log.usedRatio),
    consumeQueueDiskRatio: ratioText(others.usedRatio),
    commitLogDirCapacity: `Total : ${sizeText(totalBytes)}, Free : ${sizeText(freeBytes)}.`,
  }
}

function ratioText(ratio: number): string {
  return ratio < 0 ? '-1.0' : ratio.toFixed(2)
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

export function sizeText(sizeBytes: number): string {
  if (sizeBytes < 1024) return `${sizeBytes} B`
  const power = Math.min(Math.floor(Math.log2(sizeBytes) / 10), UNITS.length - 1)
  return `${(sizeBytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}

/** Per delay level that was used: next offset to deliver, next offset to be written. */
function delayProgress({ store, delayLevelsMs }: BrokerContext): Table {
  const table: Table = {}
  for (let level = 1; level <= delayLevelsMs.length; level++) {
    const maxOffset = store.queues.maxOffset(SystemTopic.SCHEDULE, level - 1)
    if (maxOffset <= 0) continue
    table[`scheduleMessageOffset_${level}`] = `${store.state.delayOffset(level)},${maxOffset}`
  }
  return table
}

export const ADMIN_RUNTIME_HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [RequestCode.GET_BROKER_RUNTIME_INFO, handleRuntimeInfo],
])
