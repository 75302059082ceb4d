/**
 * The broker thread's reading end of one ring from another thread: joins the parts of long requests
 * and hands every frame on. Owns the invariant that a frame is handed on whole and once.
 */
import { assert } from '@ringledger/base'
import type { SpscRing } from 'sharedarraybuffer-ringbuffer'
import type { AppendResult, CoreEvents } from './core-port-api.ts'
import { APPEND_ERRORS, CoreFrame, PART_HEAD_BYTES, ROLES } from './core-port-frames.ts'

/** So that a flood of requests never keeps the broker thread from dispatch and timers. */
const MAX_FRAMES_PER_POLL = 512

export type OnAppendResult = (sequence: number, result: AppendResult) => void

export class PortReader {
  readonly #ring: SpscRing
  readonly #onAppendResult: OnAppendResult
  #request: Buffer | undefined
  #requestFilled = 0

  constructor(ring: SpscRing, onAppendResult: OnAppendResult) {
    this.#ring = ring
    this.#onAppendResult = onAppendResult
  }

  get pending(): boolean {
    return this.#ring.pending
  }

  /** True if there was anything. */
  poll(events: CoreEvents): boolean {
    const handled = this.#ring.drain(
      (type, offset, sizeBytes) => this.#onFrame(type, offset, sizeBytes, events),
      MAX_FRAMES_PER_POLL,
    )
    return handled > 0
  }

  #onFrame(type: number, offset: number, sizeBytes: number, events: CoreEvents): void {
    const { view, bytes } = this.#ring
    switch (type) {
      case CoreFrame.REQUEST:
        this.#onRequestPart(offset, sizeBytes, events)
        return
      case CoreFrame.CONNECTED: {
        const hostBytes = view.getInt32(offset + 4, true)
        const host = Buffer.from(bytes.subarray(offset + 8, offset + 8 + hostBytes))
        const address = bytes.toString('utf8', offset + 8 + hostBytes, offset + sizeBytes)
        events.onConnected(view.getInt32(offset, true), address, host)
        return
      }
      case CoreFrame.CLOSED:
        events.onClosed(view.getInt32(offset, true))
        return
      case CoreFrame.APPENDED:
        this.#onAppendResult(view.getFloat64(offset, true), {
          ok: true,
          physicalOffset: view.getFloat64(offset + 8, true),
          queueOffset: view.getFloat64(offset + 16, true),
          storeTimestampMs: view.getFloat64(offset + 24, true),
          endPosition: view.getFloat64(offset + 32, true),
        })
        return
      case CoreFrame.APPEND_FAILED: {
        const code = APPEND_ERRORS[view.getInt32(offset + 8, true)]
        assert(code !== undefined, 'known append error')
        this.#onAppendResult(view.getFloat64(offset, true), { ok: false, code })
        return
      }
      case CoreFrame.ROLE: {
        const role = ROLES[view.getInt32(offset, true)]
        assert(role !== undefined, 'known role')
        const leaderId = bytes.toString('utf8', offset + 24, offset + sizeBytes)
        const term = view.getFloat64(offset + 8, true)
        events.onRole(role, term, leaderId, view.getFloat64(offset + 16, true))
        return
      }
      case CoreFrame.TRANSFER_ENDED: {
        const reason = bytes.toString('utf8', offset + 4, offset + sizeBytes)
        events.onTransferEnded(view.getInt32(offset, true) === 1, reason)
        return
      }
      default:
        assert(false, `unknown frame type ${type} for the broker thread`)
    }
  }

  #onRequestPart(offset: number, sizeBytes: number, events: CoreEvents): void {
    const { view, bytes } = this.#ring
    const connectionId = view.getInt32(offset, true)
    const totalBytes = view.getInt32(offset + 4, true)
    const start = offset + PART_HEAD_BYTES
    const partBytes = sizeBytes - PART_HEAD_BYTES
    if (partBytes === totalBytes) {
      events.onRequest(connectionId, bytes, start, start + partBytes)
      return
    }
    this.#request ??= Buffer.allocUnsafeSlow(totalBytes)
    bytes.copy(this.#request, this.#requestFilled, start, start + partBytes)
    this.#requestFilled += partBytes
    assert(this.#requestFilled <= totalBytes, 'parts of a request fit its announced size')
    if (this.#requestFilled < totalBytes) return
    const request = this.#request
    this.#request = undefined
    this.#requestFilled = 0
    events.onRequest(connectionId, request, 0, totalBytes)
  }
}
