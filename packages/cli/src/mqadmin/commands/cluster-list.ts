/** clusterList: every broker with its state, also those that do not answer. */

import type { Cell } from '@ringledger/base'
import { asJsonObject, parseJsonBody, RequestCode } from '@ringledger/protocol'
import type { Admin } from '../admin.ts'
import type { AdminCommand } from '../command.ts'
import { AdminError } from '../errors.ts'
import { type Broker, clusterBrokers } from '../queries.ts'
import { columns, type Section, type View } from '../view.ts'

interface Options {
  readonly clusterName?: string
  readonly moreStats?: boolean
}

interface BrokerState {
  broker: Broker
  id: number
  address: string
  /** What the broker says of itself; undefined when it does not answer. */
  runtime: Record<string, string> | undefined
}

const HOUR_MS = 3_600_000

/** Code 28: the broker's own figures, all of them text. */
export async function runtimeInfo(admin: Admin, address: string): Promise<Record<string, string>> {
  const answer = await admin.askBroker(address, { code: RequestCode.GET_BROKER_RUNTIME_INFO })
  const body = asJsonObject(parseJsonBody(answer.body), 'the runtime information')
  const table = asJsonObject(body.table ?? {}, 'table')
  return Object.fromEntries(Object.entries(table).map(([key, value]) => [key, String(value)]))
}

export const clusterList: AdminCommand<Options> = {
  name: 'clusterList',
  summary: 'List clusters and their brokers with version, load, disk and role.',
  options: [
    { flags: '-c, --clusterName <cluster>', description: 'only this cluster' },
    { flags: '-m, --moreStats', description: 'messages in and out by day instead' },
  ],
  example: 'clusterList -n 127.0.0.1:9876',
  async run(admin, { clusterName, moreStats }) {
    const brokers = await clusterBrokers(admin, clusterName)
    const states = await Promise.all(
      brokers.flatMap((broker) =>
        [...broker.addresses].map(([id, address]) => stateOf(admin, broker, id, address)),
      ),
    )
    const table = moreStats === true ? dayTable(states) : loadTable(states)
    return viewOf(states, table)
  },
}

async function stateOf(
  admin: Admin,
  broker: Broker,
  id: number,
  address: string,
): Promise<BrokerState> {
  try {
    return { broker, id, address, runtime: await runtimeInfo(admin, address) }
  } catch (error) {
    if (error instanceof AdminError) return { broker, id, address, runtime: undefined }
    throw error
  }
}

function viewOf(states: readonly BrokerState[], table: Section): View {
  const json = states.map(({ broker, id, address, runtime }) => ({
    cluster: broker.cluster,
    broker: broker.name,
    id,
    address,
    answers: runtime !== undefined,
    runtime,
  }))
  return { json, sections: [table] }
}

const NO_BROKER = 'no broker has registered at this name server'

function loadTable(states: readonly BrokerState[]): Section {
  return {
    kind: 'table',
    columns: columns(
      'Cluster',
      'Broker',
      '>Id',
      'Address',
      'Version',
      '>In/s',
      '>Out/s',
      '>Queued',
      '>Hours',
      '>Disk',
      'Active',
    ),
    rows: states.map(({ broker, id, address, runtime }): Cell[] => {
      const place = [broker.cluster, broker.name, id, address]
      if (runtime === undefined) return [...place, '', '', '', '', '', '', 'no answer']
      return [
        ...place,
        runtime.brokerVersionDesc,
        firstRate(runtime.putTps),
        firstRate(runtime.getTransferredTps),
        runtime.sendThreadPoolQueueSize,
        hoursSince(runtime.earliestMessageTimeStamp),
        percent(runtime.commitLogDiskRatio),
        runtime.brokerActive ?? 'true',
      ]
    }),
    empty: NO_BROKER,
  }
}

function dayTable(states: readonly BrokerState[]): Section {
  return {
    kind: 'table',
    columns: columns(
      'Cluster',
      'Broker',
      '>Id',
      '>In yesterday',
      '>In today',
      '>Out yesterday',
      '>Out today',
    ),
    rows: states.map(({ broker, id, runtime }): Cell[] => {
      const between = (kind: string, from: string, to: string) => {
        const amount = Number(runtime?.[`msg${kind}${to}`]) - Number(runtime?.[`msg${kind}${from}`])
        return Number.isFinite(amount) ? amount : undefined
      }
      const yesterday = ['TotalYesterdayMorning', 'TotalTodayMorning'] as const
      const today = ['TotalTodayMorning', 'TotalTodayNow'] as const
      return [
        broker.cluster,
        broker.name,
        id,
        between('Put', ...yesterday),
        between('Put', ...today),
        between('Get', ...yesterday),
        between('Get', ...today),
      ]
    }),
    empty: NO_BROKER,
  }
}

/** `10s 60s 600s` averages: the first is the newest. */
function firstRate(text: string | undefined): string | undefined {
  const rate = Number(text?.trim().split(/\s+/)[0])
  return text !== undefined && Number.isFinite(rate) ? rate.toFixed(2) : undefined
}

function hoursSince(text: string | undefined): string | undefined {
  const timestampMs = Number(text)
  if (!(timestampMs > 0)) return undefined
  return (Math.max(0, Date.now() - timestampMs) / HOUR_MS).toFixed(2)
}

function percent(text: string | undefined): string | undefined {
  const ratio = Number(text)
  return text !== undefined && ratio >= 0 ? `${(ratio * 100).toFixed(0)} %` : undefined
}
