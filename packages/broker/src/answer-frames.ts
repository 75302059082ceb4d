/**
 * Answers and the broker's own requests as remoting frames, always with a JSON header (every client
 * reads it, ali-ons reads nothing else). Owns the frame's length fields; a frame is laid out in the
 * core ring directly.
 */
import { assert } from '@ringledger/base'
import type { CorePort } from './core-port-api.ts'
import type { Answer, Ticket } from './request.ts'

/** Version ordinal that we claim: V5_4_0. */
export const OUR_VERSION = 493
const FRAME_HEAD_BYTES = 8
const RESPONSE_FLAG = 1
const ONE_WAY_FLAG = 2
const NO_BODY = Buffer.alloc(0)
const TAIL = `"serializeTypeCurrentRPC":"JSON","version":${OUR_VERSION}}`

export function writeAnswer(port: CorePort, ticket: Ticket, answer: Answer): void {
  const header = headerText(answer.code, ticket.opaque, RESPONSE_FLAG, answer.remark, answer.ext)
  const body = answer.body ?? NO_BODY
  const headerBytes = Buffer.byteLength(header)
  const claim = port.claimAnswer(ticket.connectionId, FRAME_HEAD_BYTES + headerBytes + body.length)
  writeFrameHead(claim.bytes, claim.offset, headerBytes, body.length)
  claim.bytes.write(header, claim.offset + FRAME_HEAD_BYTES, 'utf8')
  body.copy(claim.bytes, claim.offset + FRAME_HEAD_BYTES + headerBytes)
  port.commitAnswer()
}

/** A request of the broker's own to a client; `oneWay` ones want no answer. */
export function requestFrame(
  code: number,
  opaque: number,
  oneWay: boolean,
  ext: Readonly<Record<string, string>>,
  body: Buffer = NO_BODY,
): Buffer {
  const header = headerText(code, opaque, oneWay ? ONE_WAY_FLAG : 0, undefined, ext)
  const headerBytes = Buffer.byteLength(header)
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + headerBytes + body.length)
  writeFrameHead(frame, 0, headerBytes, body.length)
  frame.write(header, FRAME_HEAD_BYTES, 'utf8')
  body.copy(frame, FRAME_HEAD_BYTES + headerBytes)
  return frame
}

/**
 * An answer whose body is read from the log into the frame itself; see `handlers/pull-answer.ts`.
 */
export class BodyAnswer {
  readonly #port: CorePort
  readonly #ticket: Ticket
  readonly #headerBytes: number
  readonly #totalBytes: number
  readonly bytes: Buffer
  /** Where the body goes. */
  readonly bodyOffset: number
  readonly #offset: number

  constructor(port: CorePort, ticket: Ticket, answer: Answer, bodyBytes: number) {
    const header = headerText(answer.code, ticket.opaque, RESPONSE_FLAG, answer.remark, answer.ext)
    this.#port = port
    this.#ticket = ticket
    this.#headerBytes = Buffer.byteLength(header)
    this.#totalBytes = FRAME_HEAD_BYTES + this.#headerBytes + bodyBytes
    const claim = port.claimAnswer(ticket.connectionId, this.#totalBytes)
    this.bytes = claim.bytes
    this.#offset = claim.offset
    this.bodyOffset = claim.offset + FRAME_HEAD_BYTES + this.#headerBytes
    writeFrameHead(claim.bytes, claim.offset, this.#headerBytes, bodyBytes)
    claim.bytes.write(header, claim.offset + FRAME_HEAD_BYTES, 'utf8')
  }

  commit(): void {
    this.#port.commitAnswer()
  }

  /**
   * Fewer bytes were there than announced: the frame keeps its size, so the header is filled up
   * with blanks, which JSON allows between its members, and the body moves to the end.
   */
  commitShortened(answer: Answer, bodyBytes: number): void {
    const headerEnd = this.#offset + this.#totalBytes - bodyBytes
    this.bytes.copyWithin(headerEnd, this.bodyOffset, this.bodyOffset + bodyBytes)
    const headerStart = this.#offset + FRAME_HEAD_BYTES
    const text = headerText(
      answer.code,
      this.#ticket.opaque,
      RESPONSE_FLAG,
      answer.remark,
      answer.ext,
    )
    const textBytes = Buffer.byteLength(text)
    assert(headerStart + textBytes <= headerEnd, 'a shortened answer leaves room for its header')
    this.bytes.fill(' ', headerStart, headerEnd)
    this.bytes.write(text.slice(0, -1), headerStart, 'utf8')
    this.bytes.write('}', headerEnd - 1, 'latin1')
    writeFrameHead(this.bytes, this.#offset, headerEnd - headerStart, bodyBytes)
    this.#port.commitAnswer()
  }
}

function headerText(
  code: number,
  opaque: number,
  flag: number,
  remark: string | undefined,
  ext: Readonly<Record<string, string>> | undefined,
): string {
  const extText = ext === undefined ? '' : `"extFields":${JSON.stringify(ext)},`
  const remarkText = remark === undefined ? '' : `"remark":${JSON.stringify(remark)},`
  return `{"code":${code},${extText}"flag":${flag},"language":"JAVA","opaque":${opaque},${remarkText}${TAIL}`
}

/** The serialize type JSON is 0, so the second word is the header's length alone. */
function writeFrameHead(
  bytes: Buffer,
  offset: number,
  headerBytes: number,
  bodyBytes: number,
): void {
  bytes.writeInt32BE(4 + headerBytes + bodyBytes, offset)
  bytes.writeInt32BE(headerBytes, offset + 4)
}
