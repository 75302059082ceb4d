/**
 * The properties of a message: `name 0x01 value 0x02 …` in UTF-8 (reference rocketmq-store.md
 * §1.3). The last 0x02 may be missing; a piece without name or value is skipped, as the real broker
 * does.
 */
import { ByteRange } from '../bytes.ts'

const NAME_END = 1
const VALUE_END = 2
const NAME_END_TEXT = '\u0001'
const VALUE_END_TEXT = '\u0002'

export const PropertyName = {
  KEYS: 'KEYS',
  TAGS: 'TAGS',
  WAIT: 'WAIT',
  DELAY: 'DELAY',
  RETRY_TOPIC: 'RETRY_TOPIC',
  REAL_TOPIC: 'REAL_TOPIC',
  REAL_QUEUE_ID: 'REAL_QID',
  TRANSACTION_PREPARED: 'TRAN_MSG',
  PRODUCER_GROUP: 'PGROUP',
  MIN_OFFSET: 'MIN_OFFSET',
  MAX_OFFSET: 'MAX_OFFSET',
  CONSUME_START_TIME: 'CONSUME_START_TIME',
  ORIGIN_MESSAGE_ID: 'ORIGIN_MESSAGE_ID',
  RECONSUME_TIME: 'RECONSUME_TIME',
  MAX_RECONSUME_TIMES: 'MAX_RECONSUME_TIMES',
  MSG_REGION: 'MSG_REGION',
  TRACE_ON: 'TRACE_ON',
  CLUSTER: 'CLUSTER',
  UNIQ_KEY: 'UNIQ_KEY',
  EXTEND_UNIQ_INFO: 'EXTEND_UNIQ_INFO',
  TRANSACTION_CHECK_TIMES: 'TRANSACTION_CHECK_TIMES',
  CHECK_IMMUNITY_TIME_IN_SECONDS: 'CHECK_IMMUNITY_TIME_IN_SECONDS',
  TRANSACTION_PREPARED_QUEUE_OFFSET: 'TRAN_PREPARED_QUEUE_OFFSET',
  TRANSACTION_ID: '__transactionId__',
  INSTANCE_ID: 'INSTANCE_ID',
  CORRELATION_ID: 'CORRELATION_ID',
  REPLY_TO_CLIENT: 'REPLY_TO_CLIENT',
  TTL: 'TTL',
  ARRIVE_TIME: 'ARRIVE_TIME',
  PUSH_REPLY_TIME: 'PUSH_REPLY_TIME',
  MSG_TYPE: 'MSG_TYPE',
  POP_CK: 'POP_CK',
  POP_CK_OFFSET: 'POP_CK_OFFSET',
  FIRST_POP_TIME: '1ST_POP_TIME',
  SHARDING_KEY: '__SHARDINGKEY',
  INNER_MULTI_DISPATCH: 'INNER_MULTI_DISPATCH',
  INNER_MULTI_QUEUE_OFFSET: 'INNER_MULTI_QUEUE_OFFSET',
  INNER_NUM: 'INNER_NUM',
  INNER_BASE: 'INNER_BASE',
  TIMER_DELIVER_MS: 'TIMER_DELIVER_MS',
  TIMER_DELAY_SEC: 'TIMER_DELAY_SEC',
  TIMER_DELAY_MS: 'TIMER_DELAY_MS',
  TIMER_OUT_MS: 'TIMER_OUT_MS',
  TIMER_ENQUEUE_MS: 'TIMER_ENQUEUE_MS',
  TIMER_DEQUEUE_MS: 'TIMER_DEQUEUE_MS',
  TIMER_ROLL_TIMES: 'TIMER_ROLL_TIMES',
  TIMER_DEL_UNIQKEY: 'TIMER_DEL_UNIQKEY',
  TIMER_ROLL_LABEL: 'TIMER_ROLL_LABEL',
  TIMER_DELAY_LEVEL: 'TIMER_DELAY_LEVEL',
  TIMER_ENGINE_TYPE: 'E_T',
  DLQ_ORIGIN_TOPIC: 'DLQ_ORIGIN_TOPIC',
  DLQ_ORIGIN_MESSAGE_ID: 'DLQ_ORIGIN_MESSAGE_ID',
  BORN_HOST: '__BORNHOST',
  BORN_TIMESTAMP: 'BORN_TIMESTAMP',
  TRANSFER_FLAG: 'TRANSFER_FLAG',
  CORRECTION_FLAG: 'CORRECTION_FLAG',
  MQ2_FLAG: 'MQ2_FLAG',
  BUYER_ID: 'BUYER_ID',
  DUP_INFO: 'DUP_INFO',
  ORIGIN_GROUP: 'ORIGIN_GROUP',
  TRANS_OFFSET: 'TRANS_OFFSET',
  TRACE_CONTEXT: 'TRACE_CONTEXT',
  REDIRECT: 'REDIRECT',
  PROPERTY_FORWARD_QUEUE_ID: 'PROPERTY_FORWARD_QUEUE_ID',
  PRIORITY: '_SYS_MSG_PRIORITY_',
  CRC32: '__CRC32#',
} as const

/** Parses properties text; later values of a name win. */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (const piece of text.split(VALUE_END_TEXT)) {
    const nameEnd = piece.indexOf(NAME_END_TEXT)
    if (nameEnd > 0 && nameEnd < piece.length - 1) {
      properties.set(piece.slice(0, nameEnd), piece.slice(nameEnd + 1))
    }
  }
  return properties
}

/**
 * Text of the properties, each ended by 0x02. Empty names or values are left out: no reader sees
 * them.
 */
export function formatProperties(properties: ReadonlyMap<string, string>): string {
  let text = ''
  for (const [name, value] of properties) {
    if (name !== '' && value !== '') text += name + NAME_END_TEXT + value + VALUE_END_TEXT
  }
  return text
}

function nameMatches(bytes: Buffer, start: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    if (bytes[start + i] !== name[i]) return false
  }
  return bytes[start + name.length] === NAME_END
}

/**
 * Finds the value of the first property called `name` in `bytes[start..end)`; its range goes to
 * `out` (pass one to allocate nothing). Undefined when there is none or its value is empty.
 */
export function findProperty(
  bytes: Buffer,
  start: number,
  end: number,
  name: Uint8Array,
  out: ByteRange = new ByteRange(),
): ByteRange | undefined {
  let pieceStart = start
  while (pieceStart < end) {
    const valueStart = pieceStart + name.length + 1
    const matches = valueStart < end && nameMatches(bytes, pieceStart, name)
    let at = matches ? valueStart : pieceStart
    while (at < end && bytes[at] !== VALUE_END) at++
    if (matches && at > valueStart) {
      out.start = valueStart
      out.end = at
      return out
    }
    pieceStart = at + 1
  }
  return undefined
}
