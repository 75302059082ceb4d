/**
 * The newest units of one queue in memory, those that wait for their write and perhaps some written
 * ones. Owns the invariant `written <= units <= capacity`; unit k of the buffer is queue offset
 * `first + k`.
 */
import { CQ_UNIT_BYTES } from '@ringledger/protocol'

export const SMALLEST_BUFFER_UNITS = 16
export const LARGEST_BUFFER_UNITS = 256

export class UnitBuffer {
  readonly capacity: number
  readonly bytes: Buffer
  readonly view: DataView
  first: number
  units = 0
  /** How many units, from the first on, are in the file as well. */
  written = 0

  constructor(capacity: number, first: number) {
    this.capacity = capacity
    this.bytes = Buffer.allocUnsafeSlow(capacity * CQ_UNIT_BYTES)
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
    this.first = first
  }

  /** The same units in more room. */
  grown(capacity: number): UnitBuffer {
    const larger = new UnitBuffer(capacity, this.first)
    this.bytes.copy(larger.bytes, 0, 0, this.units * CQ_UNIT_BYTES)
    larger.units = this.units
    larger.written = this.written
    return larger
  }
}
