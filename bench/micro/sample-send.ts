/** A send as client 5.4.0 writes it, for benchmarks of what happens to one. */
import { type MessageParts, messageParts } from '@ringledger/protocol'

export const TOPIC = 'BenchTopic'
export const QUEUES = 8
const UNIQUE_KEY = '7F000001000018B4AAC2165ED2C10000'
export const PROPERTIES: string = `UNIQ_KEY\u0001${UNIQUE_KEY}\u0002WAIT\u0001true\u0002TAGS\u0001TagA\u0002KEYS\u0001order-4711\u0002`
/** 127.0.0.1:30911 */
export const HOST: Buffer = Buffer.from([127, 0, 0, 1, 0, 0, 0x78, 0xbf])
export const BORN_MS = 1_700_000_000_000

/** The whole frame of a SEND_MESSAGE_V2 with a body of `bodyBytes`. */
export function sendFrame(bodyBytes: number, opaque: number, queueId = 3): Buffer {
  const header = JSON.stringify({
    code: 310,
    extFields: {
      a: 'BenchProducer',
      b: TOPIC,
      c: 'TBW102',
      d: '4',
      e: String(queueId),
      f: '0',
      g: String(BORN_MS),
      h: '0',
      i: PROPERTIES,
      j: '0',
      k: 'false',
      m: 'false',
      n: 'RaftNode00',
    },
    flag: 0,
    language: 'JAVA',
    opaque,
    serializeTypeCurrentRPC: 'JSON',
    version: 493,
  })
  const headerBytes = Buffer.byteLength(header)
  const frame = Buffer.alloc(8 + headerBytes + bodyBytes, 0x62)
  frame.writeUInt32BE(frame.length - 4, 0)
  frame.writeUInt32BE(headerBytes, 4)
  frame.write(header, 8)
  return frame
}

/** The same message as it is stored. */
export function storedParts(bodyBytes: number, queueId = 3): MessageParts {
  return messageParts({
    topic: TOPIC,
    body: Buffer.alloc(bodyBytes, 0x62),
    properties: PROPERTIES,
    queueId,
    bornTimestampMs: BORN_MS,
    storeTimestampMs: BORN_MS + 1,
    bornHost: HOST,
    storeHost: HOST,
  })
}
