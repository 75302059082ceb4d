/**
 * The header of a send, in its long (10) and its one-letter form (310, 320), rocketmq-remoting.md
 * §3.2.
 */
import { extBool, extInt, extLong, RequestCode, requireExt } from '@ringledger/protocol'
import type { BrokerRequest } from '../request.ts'

export interface SendRequest {
  readonly producerGroup: string
  readonly topic: string
  readonly defaultTopic: string
  readonly defaultTopicQueueNums: number
  /** Below 0: the broker picks one. */
  readonly queueId: number
  readonly sysFlag: number
  readonly bornTimestampMs: number
  /** The message's user flag. */
  readonly flag: number
  readonly properties: string
  readonly reconsumeTimes: number
  /** Of a consumer that sends a message back; undefined when the request does not say. */
  readonly maxReconsumeTimes: number | undefined
  readonly batch: boolean
}

interface FieldNames {
  readonly producerGroup: string
  readonly topic: string
  readonly defaultTopic: string
  readonly defaultTopicQueueNums: string
  readonly queueId: string
  readonly sysFlag: string
  readonly bornTimestamp: string
  readonly flag: string
  readonly properties: string
  readonly reconsumeTimes: string
  readonly maxReconsumeTimes: string
  readonly batch: string
}

const LONG_NAMES: FieldNames = {
  producerGroup: 'producerGroup',
  topic: 'topic',
  defaultTopic: 'defaultTopic',
  defaultTopicQueueNums: 'defaultTopicQueueNums',
  queueId: 'queueId',
  sysFlag: 'sysFlag',
  bornTimestamp: 'bornTimestamp',
  flag: 'flag',
  properties: 'properties',
  reconsumeTimes: 'reconsumeTimes',
  maxReconsumeTimes: 'maxReconsumeTimes',
  batch: 'batch',
}

const LETTERS: FieldNames = {
  producerGroup: 'a',
  topic: 'b',
  defaultTopic: 'c',
  defaultTopicQueueNums: 'd',
  queueId: 'e',
  sysFlag: 'f',
  bornTimestamp: 'g',
  flag: 'h',
  properties: 'i',
  reconsumeTimes: 'j',
  maxReconsumeTimes: 'l',
  batch: 'm',
}

/** Throws LedgerError BAD_REQUEST when a required field is missing or no number. */
export function readSendRequest(request: BrokerRequest): SendRequest {
  const { ext, code } = request
  const names = code === RequestCode.SEND_MESSAGE ? LONG_NAMES : LETTERS
  const hasMax = ext[names.maxReconsumeTimes] !== undefined
  return {
    producerGroup: requireExt(ext, names.producerGroup),
    topic: requireExt(ext, names.topic),
    defaultTopic: requireExt(ext, names.defaultTopic),
    defaultTopicQueueNums: extInt(ext, names.defaultTopicQueueNums),
    queueId: extInt(ext, names.queueId),
    sysFlag: extInt(ext, names.sysFlag),
    bornTimestampMs: extLong(ext, names.bornTimestamp),
    flag: extInt(ext, names.flag),
    properties: ext[names.properties] ?? '',
    reconsumeTimes: extInt(ext, names.reconsumeTimes, 0),
    maxReconsumeTimes: hasMax ? extInt(ext, names.maxReconsumeTimes) : undefined,
    batch: code === RequestCode.SEND_BATCH_MESSAGE || extBool(ext, names.batch, false),
  }
}
