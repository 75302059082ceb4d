/**
 * Message ids (reference rocketmq-remoting.md §4.2): the offset id names broker and physical
 * offset; the unique id is made by the client, or by the broker when the client sent none.
 */
import { randomBytes } from 'node:crypto'
import { LedgerError } from '@ringledger/base'
import { copyBytes, readInt64, writeInt64 } from '../bytes.ts'
import { HOST_V4_BYTES, HOST_V6_BYTES, hostAddress, hostPort } from './host.ts'

const MAX_UINT16 = 0xffff
const HEX_DIGITS = Buffer.from('0123456789ABCDEF')
/** Characters of a unique id of an IPv4 host. */
export const UNIQUE_ID_BYTES = 32

export interface OffsetMessageId {
  address: string
  port: number
  physicalOffset: number
}

/** Offset id from the 4 (or 16) address bytes of the broker, its port and the physical offset. */
export function offsetMessageId(
  addressBytes: Uint8Array,
  port: number,
  physicalOffset: number,
): string {
  const id = Buffer.alloc(addressBytes.length + 12)
  id.set(addressBytes)
  id.writeInt32BE(port, addressBytes.length)
  writeInt64(id, addressBytes.length + 4, physicalOffset)
  return id.toString('hex').toUpperCase()
}

/** The same from a message's store host bytes (address and port together). */
export function offsetMessageIdOfHost(storeHost: Buffer, physicalOffset: number): string {
  return offsetMessageId(storeHost.subarray(0, -4), hostPort(storeHost), physicalOffset)
}

/** Throws `BAD_REQUEST` when `text` is not an offset id. */
export function parseOffsetMessageId(text: string): OffsetMessageId {
  if (!/^(?:[0-9a-f]{32}|[0-9a-f]{56})$/i.test(text)) {
    throw new LedgerError('BAD_REQUEST', `'${text}' is not an offset message id`)
  }
  const id = Buffer.from(text, 'hex')
  const host = id.subarray(0, id.length === 16 ? HOST_V4_BYTES : HOST_V6_BYTES)
  const physicalOffset = readInt64(id, host.length)
  if (physicalOffset < 0 || !Number.isSafeInteger(physicalOffset)) {
    throw new LedgerError('BAD_REQUEST', `'${text}' names an impossible offset`)
  }
  return { address: hostAddress(host), port: hostPort(host), physicalOffset }
}

/**
 * Makes unique ids: address (4), process id (2), a random word in place of Java's class-loader hash
 * (4), ms since the month began (4), counter (2); 32 hex digits, upper case.
 */
export class UniqueIds {
  readonly #prefix: Buffer
  readonly #text: Buffer = Buffer.alloc(UNIQUE_ID_BYTES)
  #monthStartMs = 0
  #nextMonthMs = 0
  #counter = 0

  constructor(addressBytes: Uint8Array, processId: number) {
    const fixed = Buffer.alloc(6)
    fixed.set(addressBytes.subarray(0, 4))
    fixed.writeUInt16BE(processId & MAX_UINT16, 4)
    const text = fixed.toString('hex') + randomBytes(4).toString('hex')
    this.#prefix = Buffer.from(text.toUpperCase())
  }

  next(nowMs: number): string {
    this.write(this.#text, 0, nowMs)
    return this.#text.toString('latin1')
  }

  /** Writes the next id as `UNIQUE_ID_BYTES` characters, without making a string. */
  write(target: Buffer, offset: number, nowMs: number): void {
    if (nowMs >= this.#nextMonthMs || nowMs < this.#monthStartMs) this.#enterMonth(nowMs)
    copyBytes(this.#prefix, 0, this.#prefix.length, target, offset)
    const timeAt = offset + this.#prefix.length
    writeHexDigits(target, timeAt, (nowMs - this.#monthStartMs) >>> 0, 8)
    writeHexDigits(target, timeAt + 8, this.#counter, 4)
    this.#counter = (this.#counter + 1) & MAX_UINT16
  }

  #enterMonth(nowMs: number): void {
    const now = new Date(nowMs)
    this.#monthStartMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)
    this.#nextMonthMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)
  }
}

function writeHexDigits(target: Buffer, offset: number, value: number, digits: number): void {
  let rest = value
  for (let at = offset + digits - 1; at >= offset; at--) {
    target[at] = HEX_DIGITS[rest & 15] as number
    rest >>>= 4
  }
}
