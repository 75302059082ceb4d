/**
 * Decoding of the bodies clients send to a broker: heartbeat, queue locks (reference
 * rocketmq-remoting.md §5.2, §5.3). Owns the checks: what comes out has every field in its type.
 */
import { LedgerError } from '@ringledger/base'
import { javaHashCode } from '../message/tags.ts'
import type {
  ConsumeFromWhere,
  ConsumerData,
  ConsumeType,
  HeartbeatData,
  LockBatchBody,
  MessageModel,
  MessageQueue,
  SubscriptionData,
} from './bodies.ts'
import { asJsonObject, parseJsonBody } from './json.ts'

type JsonObject = Record<string, unknown>

/** Bounds on what one client may make us keep. */
const MAX_MEMBERS = 10_000

const CONSUME_TYPES: readonly ConsumeType[] = [
  'CONSUME_PASSIVELY',
  'CONSUME_ACTIVELY',
  'CONSUME_POP',
]
const CONSUME_FROM: readonly ConsumeFromWhere[] = [
  'CONSUME_FROM_LAST_OFFSET',
  'CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST',
  'CONSUME_FROM_MIN_OFFSET',
  'CONSUME_FROM_MAX_OFFSET',
  'CONSUME_FROM_FIRST_OFFSET',
  'CONSUME_FROM_TIMESTAMP',
]
const MESSAGE_MODELS: readonly MessageModel[] = ['CLUSTERING', 'BROADCASTING']

function bad(name: string, type: string): LedgerError {
  return new LedgerError('BAD_REQUEST', `the body's field <${name}> is not ${type}`)
}

function textOf(object: JsonObject, name: string, missing?: string): string {
  const value = object[name] ?? missing
  if (typeof value !== 'string') throw bad(name, 'a text')
  return value
}

function numberOf(object: JsonObject, name: string, missing: number): number {
  const value = object[name] ?? missing
  const number = typeof value === 'number' ? value : Number(value)
  if (!Number.isFinite(number)) throw bad(name, 'a number')
  return number
}

function listOf(object: JsonObject, name: string): unknown[] {
  const value = object[name] ?? []
  if (!Array.isArray(value) || value.length > MAX_MEMBERS) throw bad(name, 'a list')
  return value
}

function oneOf<T extends string>(
  object: JsonObject,
  name: string,
  values: readonly T[],
  missing: T,
): T {
  const value = object[name] ?? missing
  const found = values.find((known) => known === value)
  if (found === undefined) throw bad(name, `one of ${values.join(', ')}`)
  return found
}

/** Tags of a subscription text: none for `*`, empty text and SQL. */
export function tagsOfSubscription(subString: string): string[] {
  if (subString === '' || subString === '*') return []
  return subString
    .split('||')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '')
}

/**
 * One subscription. `tagsSet` and `codeSet` are computed from the text: Go and ali-ons send them
 * empty or with their own hashes.
 */
export function decodeSubscription(value: unknown): SubscriptionData {
  const object = asJsonObject(value, 'a subscription')
  const expressionType = textOf(object, 'expressionType', 'TAG')
  const subString = textOf(object, 'subString', '*')
  const tags =
    expressionType === 'TAG' || expressionType === '' ? tagsOfSubscription(subString) : []
  return {
    classFilterMode: object.classFilterMode === true,
    codeSet: tags.map(javaHashCode),
    expressionType: expressionType === '' ? 'TAG' : expressionType,
    subString,
    subVersion: numberOf(object, 'subVersion', 0),
    tagsSet: tags,
    topic: textOf(object, 'topic'),
  }
}

function decodeConsumer(value: unknown): ConsumerData {
  const object = asJsonObject(value, 'a consumer of the heartbeat')
  return {
    consumeFromWhere: oneOf(object, 'consumeFromWhere', CONSUME_FROM, 'CONSUME_FROM_LAST_OFFSET'),
    consumeType: oneOf(object, 'consumeType', CONSUME_TYPES, 'CONSUME_PASSIVELY'),
    groupName: textOf(object, 'groupName'),
    messageModel: oneOf(object, 'messageModel', MESSAGE_MODELS, 'CLUSTERING'),
    subscriptionDataSet: listOf(object, 'subscriptionDataSet').map(decodeSubscription),
    unitMode: object.unitMode === true,
  }
}

/** Decodes the body of request 34. Throws `BAD_REQUEST`. */
export function decodeHeartbeat(body: Buffer): HeartbeatData {
  const object = asJsonObject(parseJsonBody(body), 'the heartbeat')
  return {
    clientID: textOf(object, 'clientID'),
    consumerDataSet: listOf(object, 'consumerDataSet').map(decodeConsumer),
    heartbeatFingerprint: numberOf(object, 'heartbeatFingerprint', 0),
    producerDataSet: listOf(object, 'producerDataSet').map((producer) => ({
      groupName: textOf(asJsonObject(producer, 'a producer of the heartbeat'), 'groupName'),
    })),
    withoutSub: object.withoutSub === true,
  }
}

/** A MessageQueue from its JSON object, or from the key text of a map that was keyed by it. */
export function decodeMessageQueue(value: unknown): MessageQueue {
  const object = asJsonObject(value, 'a message queue')
  return {
    brokerName: textOf(object, 'brokerName'),
    queueId: numberOf(object, 'queueId', 0),
    topic: textOf(object, 'topic'),
  }
}

/** Decodes the body of requests 41 and 42. Throws `BAD_REQUEST`. */
export function decodeLockBatch(body: Buffer): LockBatchBody {
  const object = asJsonObject(parseJsonBody(body), 'the lock request')
  return {
    clientId: textOf(object, 'clientId'),
    consumerGroup: textOf(object, 'consumerGroup'),
    mqSet: listOf(object, 'mqSet').map(decodeMessageQueue),
    onlyThisBroker: object.onlyThisBroker === true,
  }
}
