/**
 * The IO thread's care for what is stored: passes of the scrub at a bounded rate while nothing else
 * is to be done, places that others ask to have looked at, entries that peers sent. Owns what is
 * told about damage: nothing is lost when the event ring is full, it is told later.
 */
import { assert } from '@ringledger/base'
import type { SpscRing } from 'sharedarraybuffer-ringbuffer'
import { IoCommand, IoEvent, type IoPort, MAX_EVENT_TEXT_BYTES } from './io-port.ts'
import type { LogStore } from './log-store.ts'
import type { Hole } from './recovered.ts'
import type { Finding } from './store-parts.ts'

/** Looked at in one go, between two groups. */
const STEP_BYTES: number = 128 * 1024
/** The same on demand, when the disk has nothing else to do. */
const DEMANDED_STEP_BYTES: number = 1024 * 1024
/** The first pass leaves a start alone. */
const FIRST_PASS_MS = 60_000
/** More than this are counted, not told one by one. */
const MAX_UNTOLD = 256

/** How an event gets to the core thread. */
export interface CareEvents {
  readonly ring: SpscRing
  hasRoom(): boolean
  publish(): void
}

interface Untold {
  readonly type: IoEvent
  readonly fill: (offset: number) => void
  readonly sizeBytes: number
}

export class IoCare {
  readonly #store: LogStore
  readonly #events: CareEvents
  readonly #suspect: BigInt64Array
  readonly #repairBytes: Buffer
  readonly #untold: Untold[] = []
  #nextStepMs: number
  #passBegunMs: number
  #demanded = false

  constructor(store: LogStore, port: IoPort, events: CareEvents, nowMs: number) {
    this.#store = store
    this.#events = events
    this.#suspect = new BigInt64Array(port.suspect)
    this.#repairBytes = Buffer.from(port.repair)
    this.#nextStepMs = nowMs + FIRST_PASS_MS
    this.#passBegunMs = nowMs
    store.onFinding = (finding) => this.#found(finding)
  }

  /** A reader met bytes that are not what was written. */
  get suspects(): boolean {
    return Atomics.load(this.#suspect, 0) !== 0n
  }

  /** True when it was a command of this part. */
  carryOut(type: number, view: DataView, offset: number): boolean {
    switch (type) {
      case IoCommand.CHECK:
        this.#check(view.getFloat64(offset))
        return true
      case IoCommand.SCRUB:
        this.#demand()
        return true
      case IoCommand.REPAIR:
        this.#repair(view.getFloat64(offset), view.getInt32(offset + 8))
        return true
      case IoCommand.HEALED:
        this.#store.healed()
        return true
      default:
        return false
    }
  }

  /** A piece of work, if one is due; `busy`: the disk has other work. */
  step(nowMs: number, busy: boolean): boolean {
    this.#tell()
    if (this.suspects) {
      this.#check(Number(Atomics.exchange(this.#suspect, 0, 0n)) - 1)
      return true
    }
    if (busy || (!this.#demanded && nowMs < this.#nextStepMs)) return false
    const { scrub, layout } = this.#store
    if (scrub.done) {
      if (layout.scrubBytesPerSecond === 0) {
        this.#nextStepMs = Number.POSITIVE_INFINITY
        return false
      }
      scrub.begin()
      this.#passBegunMs = nowMs
    }
    const sizeBytes = scrub.step(this.#demanded ? DEMANDED_STEP_BYTES : STEP_BYTES)
    const rate = layout.scrubBytesPerSecond
    this.#nextStepMs = rate === 0 ? nowMs : nowMs + (sizeBytes / rate) * 1000
    if (scrub.done) this.#endPass()
    return true
  }

  /** How long the thread may sleep for this part's sake. */
  sleepMs(nowMs: number): number {
    if (this.#demanded || this.#untold.length > 0) return 1
    return Math.max(1, this.#nextStepMs - nowMs)
  }

  #endPass(): void {
    if (this.#demanded) this.#queue(IoEvent.SCRUBBED, 0, () => {})
    this.#demanded = false
    const { scrubIntervalMs, scrubBytesPerSecond } = this.#store.layout
    const next = this.#passBegunMs + scrubIntervalMs
    this.#nextStepMs = scrubBytesPerSecond === 0 ? Number.POSITIVE_INFINITY : next
  }

  #demand(): void {
    this.#demanded = true
    this.#store.scrub.begin()
  }

  #check(position: number): void {
    if (this.#store.scrub.check(position)) {
      this.#queue(IoEvent.CHECKED, 8, (offset) => {
        this.#events.ring.view.setFloat64(offset, position)
      })
    } else if (!this.#demanded) this.#demand()
  }

  #repair(position: number, sizeBytes: number): void {
    assert(sizeBytes <= this.#repairBytes.length, 'what a peer sent fits')
    const bytes = Buffer.from(this.#repairBytes.subarray(0, sizeBytes))
    const refusal = Buffer.from(this.#store.repair(position, bytes), 'utf8')
    const { end, holes } = this.#store
    const { soundPosition } = holes
    const { view, bytes: target } = this.#events.ring
    this.#queue(IoEvent.REPAIRED, 28 + refusal.length, (offset) => {
      view.setFloat64(offset, position)
      view.setFloat64(offset + 8, soundPosition)
      view.setFloat64(offset + 16, end.chainCrc)
      view.setInt32(offset + 24, refusal.length)
      refusal.copy(target, offset + 28)
    })
  }

  #found(finding: Finding): void {
    const { path, position, index, reason, repaired } = finding
    const pathBytes = Buffer.from(path, 'utf8').subarray(0, MAX_EVENT_TEXT_BYTES)
    const reasonBytes = Buffer.from(reason, 'utf8').subarray(0, MAX_EVENT_TEXT_BYTES)
    const { view, bytes } = this.#events.ring
    this.#queue(IoEvent.FOUND, 28 + pathBytes.length + reasonBytes.length, (offset) => {
      view.setFloat64(offset, position)
      view.setFloat64(offset + 8, index)
      view.setInt32(offset + 16, repaired ? 1 : 0)
      view.setInt32(offset + 20, pathBytes.length)
      view.setInt32(offset + 24, reasonBytes.length)
      pathBytes.copy(bytes, offset + 28)
      reasonBytes.copy(bytes, offset + 28 + pathBytes.length)
    })
    const hole = this.#store.holes.at(position)
    if (!repaired && hole !== undefined) this.#tellHole(hole)
  }

  #tellHole({ position, endPosition, index, term }: Hole): void {
    const { view } = this.#events.ring
    this.#queue(IoEvent.HOLE, 32, (offset) => {
      view.setFloat64(offset, position)
      view.setFloat64(offset + 8, endPosition)
      view.setFloat64(offset + 16, index)
      view.setFloat64(offset + 24, term)
    })
  }

  #queue(type: IoEvent, sizeBytes: number, fill: (offset: number) => void): void {
    if (this.#untold.length >= MAX_UNTOLD && type === IoEvent.FOUND) return
    this.#untold.push({ type, sizeBytes, fill })
    this.#tell()
  }

  #tell(): void {
    const { ring } = this.#events
    while (this.#untold.length > 0 && this.#events.hasRoom()) {
      const { type, sizeBytes, fill } = this.#untold.shift() as Untold
      const offset = ring.claim(sizeBytes, type)
      assert(offset >= 0, 'room for the event was looked at before')
      fill(offset)
      this.#events.publish()
    }
  }
}
