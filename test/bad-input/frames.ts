/** Broken frames and requests, and what RocketMQ's servers do with each. */
import { RequestCode, ResponseCode } from '@ringledger/protocol'
import { frame, header } from './raw.ts'

export interface BadInput {
  readonly name: string
  readonly bytes: Buffer
}

export interface RefusedRequest extends BadInput {
  readonly code: number
}

const SEND = RequestCode.SEND_MESSAGE_V2
const BATCH = RequestCode.SEND_BATCH_MESSAGE
const ONE_BYTE = Buffer.from('x')

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex')
}

/** Not frames, or frames whose header cannot be read: the connection is closed. */
export const NO_FRAMES: readonly BadInput[] = [
  { name: 'a TLS hello', bytes: hex('160301020001000001fc0303') },
  { name: 'an HTTP request', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n') },
  { name: 'a negative length', bytes: hex('ffffffff00000000') },
  { name: 'a length of 2 GiB', bytes: hex('7fffffff00000000') },
  { name: 'a length below the header', bytes: hex('0000000300000000') },
  { name: 'a header longer than its frame', bytes: frame('{}', { headerBytes: 100 }) },
  { name: 'a truncated JSON header', bytes: frame('{"code":10,') },
  { name: 'an unknown header type', bytes: frame('{}', { serializeType: 7 }) },
  { name: 'a header that is a list', bytes: frame('[1,2]') },
  { name: 'a code that is text', bytes: frame('{"code":"x","opaque":1,"flag":0}') },
  { name: 'ext fields that are a list', bytes: frame(header(SEND, [1])) },
  { name: 'a truncated binary header', bytes: frame(Buffer.alloc(5), { serializeType: 1 }) },
  {
    name: 'a binary header with impossible lengths',
    bytes: frame(Buffer.concat([Buffer.alloc(13), hex('7fffffff'), Buffer.alloc(8)]), {
      serializeType: 1,
    }),
  },
]

export const UNKNOWN_CODE: RefusedRequest = {
  name: 'an unknown code',
  bytes: frame(header(31_999)),
  code: ResponseCode.REQUEST_CODE_NOT_SUPPORTED,
}

function sendExt(fields: Record<string, unknown>): Record<string, unknown> {
  const [f, g, h, i] = ['0', '1', '0', '']
  return { a: 'p', b: 'Refused', c: 'TBW102', d: '4', e: '0', f, g, h, i, ...fields }
}

function send(fields: Record<string, unknown>, body: Buffer = ONE_BYTE, code: number = SEND) {
  return frame(header(code, sendExt(fields)), { body })
}

function refused(name: string, bytes: Buffer, code: number): RefusedRequest {
  return { name, bytes, code }
}

/** Frames that are whole, with requests that a broker must refuse. */
export const REFUSED_REQUESTS: readonly RefusedRequest[] = [
  UNKNOWN_CODE,
  refused('a send without fields', frame(header(SEND)), ResponseCode.SYSTEM_ERROR),
  refused('a queue id that is text', send({ e: 'y' }), ResponseCode.SYSTEM_ERROR),
  refused('a flag that is an object', send({ h: {} }), ResponseCode.SYSTEM_ERROR),
  refused(
    'a pull without fields',
    frame(header(RequestCode.PULL_MESSAGE)),
    ResponseCode.SYSTEM_ERROR,
  ),
  refused('a topic with a slash', send({ b: 'bad/topic' }), ResponseCode.INVALID_PARAMETER),
  refused('a topic of 200 letters', send({ b: 't'.repeat(200) }), ResponseCode.INVALID_PARAMETER),
  refused(
    "the group's own topic",
    send({ b: 'rmq_sys_RINGLEDGER_STATE' }),
    ResponseCode.NO_PERMISSION,
  ),
  refused('a queue that is not there', send({ e: '99' }), ResponseCode.INVALID_PARAMETER),
  refused(
    'a body over the limit',
    send({}, Buffer.alloc(5 * 1024 * 1024)),
    ResponseCode.MESSAGE_ILLEGAL,
  ),
  refused(
    'properties over the limit',
    send({ i: `k\u0001${'v'.repeat(40_000)}` }),
    ResponseCode.MESSAGE_ILLEGAL,
  ),
  refused(
    'a batch of nonsense',
    send({ m: 'true' }, hex('ffffffff0011223344'), BATCH),
    ResponseCode.MESSAGE_ILLEGAL,
  ),
  refused(
    'a heartbeat that is no JSON',
    frame(header(RequestCode.HEART_BEAT), { body: Buffer.from('{{{') }),
    ResponseCode.SYSTEM_ERROR,
  ),
  refused(
    'a heartbeat nested 100,000 deep',
    frame(header(RequestCode.HEART_BEAT), { body: Buffer.from('['.repeat(100_000)) }),
    ResponseCode.SYSTEM_ERROR,
  ),
  refused(
    'a lock request that is a list',
    frame(header(RequestCode.LOCK_BATCH_MQ), { body: Buffer.from('[]') }),
    ResponseCode.SYSTEM_ERROR,
  ),
]
