/**
 * The body of a batch send (320): elements one after another, each `int32 total, int32 magic 0,
 * int32 crc 0, int32 flag, int32 bodyLen, body, int16 propertiesLen, properties`
 * (reference rocketmq-remoting.md §4.6).
 */
import { LedgerError } from '@ringledger/base'

/** Of an element with neither body nor properties. */
export const BATCH_ELEMENT_MIN_BYTES = 22
const FLAG_AT = 12
const BODY_LENGTH_AT = 16
const BODY_AT = 20

/** Sees one element: its user flag and where its body and properties lie in the buffer. */
export type BatchVisitor = (
  flag: number,
  bodyStart: number,
  bodyEnd: number,
  propertiesStart: number,
  propertiesEnd: number,
) => void

/** Total size of the element at `at`, or -1 when it is malformed or does not fit before `end`. */
function elementBytes(bytes: Buffer, at: number, end: number): number {
  if (end - at < BATCH_ELEMENT_MIN_BYTES) return -1
  const totalBytes = bytes.readInt32BE(at)
  const bodyBytes = bytes.readInt32BE(at + BODY_LENGTH_AT)
  if (bodyBytes < 0 || bodyBytes > end - at - BATCH_ELEMENT_MIN_BYTES) return -1
  const propertiesBytes = bytes.readInt16BE(at + BODY_AT + bodyBytes)
  if (propertiesBytes < 0 || propertiesBytes > end - at - BATCH_ELEMENT_MIN_BYTES - bodyBytes)
    return -1
  return totalBytes === BATCH_ELEMENT_MIN_BYTES + bodyBytes + propertiesBytes ? totalBytes : -1
}

/** Number of elements in `bytes[start..end)`; -1 when any is malformed. */
export function countBatchElements(bytes: Buffer, start: number, end: number): number {
  let count = 0
  for (let at = start; at < end; count++) {
    const sizeBytes = elementBytes(bytes, at, end)
    if (sizeBytes < 0) return -1
    at += sizeBytes
  }
  return count
}

/**
 * Visits the elements in order; returns how many. Throws `BAD_REQUEST` at a malformed one, after
 * those before it were visited: call `countBatchElements` first where that matters.
 */
export function forEachBatchElement(
  bytes: Buffer,
  start: number,
  end: number,
  visit: BatchVisitor,
): number {
  let count = 0
  for (let at = start; at < end; count++) {
    const sizeBytes = elementBytes(bytes, at, end)
    if (sizeBytes < 0) {
      throw new LedgerError('BAD_REQUEST', `message ${count} of the batch is malformed`)
    }
    const bodyEnd = at + BODY_AT + bytes.readInt32BE(at + BODY_LENGTH_AT)
    visit(bytes.readInt32BE(at + FLAG_AT), at + BODY_AT, bodyEnd, bodyEnd + 2, at + sizeBytes)
    at += sizeBytes
  }
  return count
}

export interface BatchElement {
  flag: number
  body: Buffer
  properties: Buffer
}

/** The body of a batch send with these elements. */
export function encodeBatch(elements: readonly BatchElement[]): Buffer {
  return Buffer.concat(
    elements.map(({ flag, body, properties }) => {
      const element = Buffer.alloc(BATCH_ELEMENT_MIN_BYTES + body.length + properties.length)
      element.writeInt32BE(element.length, 0)
      element.writeInt32BE(flag, FLAG_AT)
      element.writeInt32BE(body.length, BODY_LENGTH_AT)
      body.copy(element, BODY_AT)
      element.writeInt16BE(properties.length, BODY_AT + body.length)
      properties.copy(element, BODY_AT + body.length + 2)
      return element
    }),
  )
}
