/** Puts the reading side of plain sends together, the same in every thread that has sockets. */
import { encodeHost, formatProperties, sendExtConstants, UniqueIds } from '@ringledger/protocol'
import type { NodeSettings } from './node-settings.ts'
import { SendFront } from './send-front.ts'
import { SendResponder } from './send-responder.ts'
import type { SubmitPort } from './submit-port.ts'
import type { TopicTable } from './topic-table.ts'

export function makeSendResponder(settings: NodeSettings): SendResponder {
  const storeHost = encodeHost(settings.brokerIP1, settings.listenPort)
  return new SendResponder(storeHost, sendExtConstants(settings.regionId, settings.traceOn))
}

export interface SendFrontParts {
  port: SubmitPort
  topics: TopicTable
  responder: SendResponder
}

export function makeSendFront(settings: NodeSettings, parts: SendFrontParts): SendFront {
  const storeHost = encodeHost(settings.brokerIP1, settings.listenPort)
  return new SendFront({
    ...parts,
    uniqueIds: new UniqueIds(storeHost.subarray(0, 4), process.pid),
    storeHost,
    maxMessageSize: settings.maxMessageSize,
    brokerPermission: settings.brokerPermission,
    brokerProperties: brokerProperties(settings),
  })
}

/** What the broker adds to every message it stores (rocketmq-remoting.md §3.2). */
function brokerProperties(settings: NodeSettings): Buffer {
  const properties = new Map([
    ['MSG_REGION', settings.regionId],
    ['TRACE_ON', String(settings.traceOn)],
    ['CLUSTER', settings.brokerClusterName],
  ])
  return Buffer.from(formatProperties(properties))
}
