/** A builder that remembers what it was given, and stops a run at a call that a test chooses. */
import type { BuilderRequest, BuiltFiles, StoreBuilder } from './rollback-types.ts'

export interface BuiltMessage {
  readonly offset: number
  readonly bytes: Buffer
  readonly wasPlain: boolean
}

export class StoppedHere extends Error {
  override readonly name = 'StoppedHere'
}

/** What survives a crash: the mark says how much of it counts. */
export interface BuilderMemory {
  messages: BuiltMessage[]
  records: string[]
  marks: number[]
}

export class FakeBuilder implements StoreBuilder {
  readonly #memory: BuilderMemory
  #callsLeft: number

  /** `stopAfterCalls`: the call after that many throws. */
  constructor(
    memory: BuilderMemory,
    { resume }: BuilderRequest,
    stopAfterCalls: number = Number.POSITIVE_INFINITY,
  ) {
    this.#memory = memory
    this.#callsLeft = stopAfterCalls
    const [messages, records, marks] = (resume?.mark as number[] | undefined) ?? [0, 0, 0]
    memory.messages.length = messages!
    memory.records.length = records!
    memory.marks.length = marks!
  }

  addMessage(
    bytes: Buffer,
    _view: DataView,
    offset: number,
    sizeBytes: number,
    physicalOffset: number,
    wasPlain: boolean,
  ): void {
    this.#count()
    const copy = Buffer.from(bytes.subarray(offset, offset + sizeBytes))
    this.#memory.messages.push({ offset: physicalOffset, bytes: copy, wasPlain })
  }

  applyRecord(text: string): void {
    this.#count()
    this.#memory.records.push(text)
  }

  applyDelayMark(mark: number): void {
    this.#count()
    this.#memory.marks.push(mark)
  }

  save(): unknown {
    this.#count()
    const { messages, records, marks } = this.#memory
    return [messages.length, records.length, marks.length]
  }

  finish(): BuiltFiles {
    this.#count()
    const units = this.#memory.messages.length
    return { queues: 1, units, expiredQueues: 0, delayedPending: 0, shortQueues: [] }
  }

  close(): void {}

  abandon(): void {}

  #count(): void {
    if (this.#callsLeft-- <= 0) throw new StoppedHere()
  }
}
