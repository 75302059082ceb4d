/**
 * Remoting commands: decoding of JSON and binary headers, encoding, and the checks a handler makes
 * on the ext fields (reference rocketmq-remoting.md §1.2–1.4). Owns leniency on reading: ext values
 * that are not strings are coerced, unknown members ignored.
 */
import { assert, LedgerError } from '@ringledger/base'
import { decodeBinaryHeader } from './binary-header.ts'
import { LANGUAGES, type Language, OWN_VERSION, RequestCode } from './codes.ts'
import { FRAME_HEADER_AT, frameHeaderBytes, MAX_FRAME_BYTES, SerializeType } from './frame.ts'
import { asJsonObject, parseLenientJson } from './json.ts'
import { stringifyJson } from './json-writer.ts'

export const RESPONSE_FLAG = 1
export const ONEWAY_FLAG = 2

export interface RemotingCommand {
  code: number
  language: Language
  version: number
  opaque: number
  flag: number
  remark?: string
  ext: Record<string, string>
  /** A view of the frame it was decoded from, not a copy. */
  body: Buffer
  serializeType: 0 | 1
}

/** What an encoder needs; ext values are written as strings, undefined ones left out. */
export interface CommandInit {
  code: number
  opaque: number
  flag?: number
  remark?: string | undefined
  ext?: Readonly<Record<string, string | number | bigint | boolean | undefined>> | undefined
  body?: Uint8Array | undefined
  language?: Language
  version?: number
}

const EMPTY = Buffer.alloc(0)

function corrupt(reason: string): never {
  throw new LedgerError('CORRUPT', `remoting header: ${reason}`)
}

/** An int32 member as number or decimal text; `missing` when absent. */
function headerInteger(value: unknown, name: string, missing: number): number {
  if (value === undefined || value === null) return missing
  const number = typeof value === 'string' && /^-?\d{1,10}$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || (number | 0) !== number) corrupt(`${name} is not an int`)
  return number
}

function languageOf(value: unknown): Language {
  if (value === undefined) return 'JAVA'
  if (typeof value === 'number') return LANGUAGES[value] ?? 'OTHER'
  return LANGUAGES.find((language) => language === value) ?? 'OTHER'
}

function extOf(value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value)) corrupt('extFields is not an object')
  const ext: Record<string, string> = {}
  for (const [name, item] of Object.entries(value)) {
    // As plain data this name could only be misread; no peer uses it.
    if (item === null || name === '__proto__') continue
    ext[name] = typeof item === 'object' ? stringifyJson(item) : String(item)
  }
  return ext
}

function decodeJsonHeader(text: string, body: Buffer): RemotingCommand {
  const header = asJsonObject(parseLenientJson(text), 'the header')
  const command: RemotingCommand = {
    code: headerInteger(header.code, 'code', 0),
    language: languageOf(header.language),
    version: headerInteger(header.version, 'version', 0),
    opaque: headerInteger(header.opaque, 'opaque', 0),
    flag: headerInteger(header.flag, 'flag', 0),
    ext: extOf(header.extFields),
    body,
    serializeType: SerializeType.JSON,
  }
  if (typeof header.remark === 'string') command.remark = header.remark
  return command
}

/** What the JSON reader refuses is a damaged frame here, not a bad request. */
function decodeJsonFrame(frame: Buffer, headerEnd: number, body: Buffer): RemotingCommand {
  try {
    return decodeJsonHeader(frame.toString('utf8', FRAME_HEADER_AT, headerEnd), body)
  } catch (error) {
    const isRefusedText = error instanceof LedgerError && error.code === 'BAD_REQUEST'
    if (isRefusedText) return corrupt(error.message)
    throw error
  }
}

/**
 * Decodes a whole frame, its length field included. Throws `CORRUPT` when lengths or header are
 * malformed: the connection cannot be trusted any more.
 */
export function decodeCommand(frame: Buffer): RemotingCommand {
  if (frame.length < FRAME_HEADER_AT) corrupt('the frame is too short')
  const lengthBytes = frame.readUInt32BE(0)
  if (lengthBytes > MAX_FRAME_BYTES || lengthBytes + 4 !== frame.length) {
    corrupt(`the frame has ${frame.length} bytes, its length field says ${lengthBytes + 4}`)
  }
  const headerEnd = FRAME_HEADER_AT + frameHeaderBytes(frame, 0)
  if (headerEnd > frame.length) corrupt('it is longer than the frame')
  const type = frame[4]
  const body = frame.subarray(headerEnd)
  if (type === SerializeType.JSON) return decodeJsonFrame(frame, headerEnd, body)
  if (type !== SerializeType.ROCKETMQ) return corrupt(`unknown type ${type}`)
  return { ...decodeBinaryHeader(frame, FRAME_HEADER_AT, headerEnd), body }
}

function headerText(command: CommandInit): string {
  const ext = command.ext === undefined ? '' : extText(command.ext)
  const remark = command.remark === undefined ? '' : `,"remark":${JSON.stringify(command.remark)}`
  // Our answers say JAVA: clients older than the newest language names must still decode them.
  return `{"code":${command.code}${ext},"flag":${command.flag ?? 0},"language":"${
    command.language ?? 'JAVA'
  }","opaque":${command.opaque}${remark},"serializeTypeCurrentRPC":"JSON","version":${
    command.version ?? OWN_VERSION
  }}`
}

function extText(ext: NonNullable<CommandInit['ext']>): string {
  let text = ''
  for (const [name, value] of Object.entries(ext)) {
    if (value === undefined) continue
    const separator = text === '' ? ',"extFields":{' : ','
    text += `${separator}${JSON.stringify(name)}:${JSON.stringify(String(value))}`
  }
  return text === '' ? '' : `${text}}`
}

/** A whole frame with JSON header. */
export function encodeCommand(command: CommandInit): Buffer {
  const header = Buffer.from(headerText(command))
  const body = command.body ?? EMPTY
  const frame = Buffer.allocUnsafe(FRAME_HEADER_AT + header.length + body.length)
  writeFrame(frame, 0, header, body)
  return frame
}

/**
 * Writes a whole frame with JSON header at `offset`; returns its size. Throws `TOO_LARGE` when the
 * target has no room for it; nothing was written then.
 */
export function encodeInto(target: Buffer, offset: number, command: CommandInit): number {
  const header = Buffer.from(headerText(command))
  const body = command.body ?? EMPTY
  const sizeBytes = FRAME_HEADER_AT + header.length + body.length
  if (sizeBytes > target.length - offset) {
    throw new LedgerError('TOO_LARGE', `a frame of ${sizeBytes} bytes does not fit the buffer`)
  }
  writeFrame(target, offset, header, body)
  return sizeBytes
}

function writeFrame(target: Buffer, offset: number, header: Buffer, body: Uint8Array): void {
  assert(header.length <= 0xffffff, 'a remoting header fits 24 bits')
  target.writeUInt32BE(4 + header.length + body.length, offset)
  target.writeUInt32BE(header.length, offset + 4)
  target.set(header, offset + FRAME_HEADER_AT)
  target.set(body, offset + FRAME_HEADER_AT + header.length)
}

export function isResponse(command: { flag: number }): boolean {
  return (command.flag & RESPONSE_FLAG) !== 0
}

export function isOneway(command: { flag: number }): boolean {
  return (command.flag & ONEWAY_FLAG) !== 0
}

/** True for the codes whose header `scanSendHeader` understands. */
export function isSendCode(code: number): boolean {
  return (
    code === RequestCode.SEND_MESSAGE_V2 ||
    code === RequestCode.SEND_MESSAGE ||
    code === RequestCode.SEND_BATCH_MESSAGE
  )
}
