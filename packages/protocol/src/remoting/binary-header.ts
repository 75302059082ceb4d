/**
 * The binary remoting header (reference rocketmq-remoting.md §1.3). Read because Java clients may
 * be set to it; written only by tests: every peer takes JSON answers.
 */
import { LedgerError } from '@ringledger/base'
import { LANGUAGES, type Language, LanguageCode, OWN_VERSION } from './codes.ts'
import type { CommandInit, RemotingCommand } from './command.ts'
import { FRAME_HEADER_AT, SerializeType } from './frame.ts'

const MIN_HEADER_BYTES = 21
const REMARK_LENGTH_AT = 13

function corrupt(reason: string): never {
  throw new LedgerError('CORRUPT', `binary remoting header: ${reason}`)
}

/** Reads length-prefixed parts; every length is checked against the end before use. */
class PartReader {
  readonly #bytes: Buffer
  readonly #end: number
  at: number

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes
    this.at = start
    this.#end = end
  }

  length(lengthBytes: 2 | 4): number {
    if (this.at + lengthBytes > this.#end) corrupt('it ends inside a length')
    const length =
      lengthBytes === 2 ? this.#bytes.readInt16BE(this.at) : this.#bytes.readInt32BE(this.at)
    this.at += lengthBytes
    if (length < 0 || length > this.#end - this.at) corrupt(`a part of ${length} bytes`)
    return length
  }

  text(lengthBytes: 2 | 4): string {
    const length = this.length(lengthBytes)
    this.at += length
    return this.#bytes.toString('utf8', this.at - length, this.at)
  }
}

function readExt(parts: PartReader): Record<string, string> {
  const end = parts.length(4) + parts.at
  const ext: Record<string, string> = {}
  while (parts.at < end) {
    const name = parts.text(2)
    const value = parts.text(4)
    // An empty value stands for null in this form.
    if (value !== '' && name !== '__proto__') ext[name] = value
  }
  if (parts.at !== end) corrupt('an ext field passes the end')
  return ext
}

/**
 * Decodes `bytes[start..end)`. The code is read as unsigned: codes above 32767 do not survive in
 * this form anyway. Throws `CORRUPT`.
 */
export function decodeBinaryHeader(
  bytes: Buffer,
  start: number,
  end: number,
): Omit<RemotingCommand, 'body'> {
  if (end - start < MIN_HEADER_BYTES) corrupt('it is too short')
  const parts = new PartReader(bytes, start + REMARK_LENGTH_AT, end)
  const remark = parts.text(4)
  const ext = readExt(parts)
  const language: Language = LANGUAGES[bytes[start + 2] as number] ?? 'OTHER'
  return {
    code: bytes.readUInt16BE(start),
    language,
    version: bytes.readInt16BE(start + 3),
    opaque: bytes.readInt32BE(start + 5),
    flag: bytes.readInt32BE(start + 9),
    ...(remark === '' ? {} : { remark }),
    ext,
    serializeType: SerializeType.ROCKETMQ,
  }
}

function withLength(lengthBytes: 2 | 4, text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(lengthBytes)
  length.writeIntBE(bytes.length, 0, lengthBytes)
  return Buffer.concat([length, bytes])
}

/** A whole frame with binary header. Codes above 65535 cannot be carried: `BAD_REQUEST`. */
export function encodeBinaryCommand(command: CommandInit): Buffer {
  if (command.code < 0 || command.code > 0xffff) {
    throw new LedgerError('BAD_REQUEST', `code ${command.code} does not fit a binary header`)
  }
  const fixed = Buffer.alloc(REMARK_LENGTH_AT)
  fixed.writeUInt16BE(command.code, 0)
  fixed[2] = LanguageCode[command.language ?? 'JAVA']
  fixed.writeInt16BE(command.version ?? OWN_VERSION, 3)
  fixed.writeInt32BE(command.opaque, 5)
  fixed.writeInt32BE(command.flag ?? 0, 9)
  const fields = Object.entries(command.ext ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [withLength(2, name), withLength(4, String(value))],
  )
  const ext = Buffer.concat(fields)
  const extLength = Buffer.alloc(4)
  extLength.writeInt32BE(ext.length)
  const header = Buffer.concat([fixed, withLength(4, command.remark ?? ''), extLength, ext])
  const frame = Buffer.concat([
    Buffer.alloc(FRAME_HEADER_AT),
    header,
    command.body ?? Buffer.alloc(0),
  ])
  frame.writeUInt32BE(frame.length - 4, 0)
  frame.writeUInt32BE(header.length, 4)
  frame[4] = SerializeType.ROCKETMQ
  return frame
}
