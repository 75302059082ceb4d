/**
 * Makes unique message ids (UNIQ_KEY) for producers that send none, in the form of RocketMQ's
 * clients: address, process, a hash, milliseconds since the start of the month, a counter
 * (rocketmq-remoting.md §4.2).
 */
import type { Clock } from '@ringledger/base'

export const UNIQUE_KEY_BYTES = 32
const HEX = Buffer.from('0123456789ABCDEF')

export class UniqueKeys {
  readonly #clock: Clock
  readonly #prefix: Buffer
  #monthStartMs = 0
  #nextMonthMs = 0
  #counter = 0

  /**
   * `hostBytes`: the four address bytes; `salt` tells processes on one host apart beside the pid.
   */
  constructor(clock: Clock, hostBytes: Buffer, pid: number, salt: number) {
    this.#clock = clock
    const raw = Buffer.alloc(10)
    hostBytes.copy(raw, 0, 0, 4)
    raw.writeUInt16BE(pid & 0xffff, 4)
    raw.writeUInt32BE(salt >>> 0, 6)
    this.#prefix = Buffer.from(raw.toString('hex').toUpperCase())
  }

  /** Writes 32 characters. */
  write(target: Buffer, offset: number, nowMs: number): void {
    if (nowMs >= this.#nextMonthMs || nowMs < this.#monthStartMs) this.#enterMonth()
    this.#counter = (this.#counter + 1) & 0xffff
    this.#prefix.copy(target, offset)
    writeHexDigits(target, offset + 20, (nowMs - this.#monthStartMs) >>> 0, 8)
    writeHexDigits(target, offset + 28, this.#counter, 4)
  }

  #enterMonth(): void {
    const now = new Date(this.#clock.wallMs())
    this.#monthStartMs = new Date(now.getFullYear(), now.getMonth(), 1).getTime()
    this.#nextMonthMs = new Date(now.getFullYear(), now.getMonth() + 1, 1).getTime()
  }
}

function writeHexDigits(target: Buffer, offset: number, value: number, digits: number): void {
  let rest = value
  for (let at = offset + digits - 1; at >= offset; at--) {
    target[at] = HEX[rest & 15] as number
    rest >>>= 4
  }
}
