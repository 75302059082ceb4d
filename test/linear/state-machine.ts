/**
 * The replicated registers and logs: a function of the commands in the order of the group's log,
 * the same on every node.
 */
export interface Command {
  readonly op: 'write' | 'cas' | 'append'
  readonly object: string
  readonly value: number
  readonly expected?: number
}

export interface Effect {
  /** What a compare-and-set found. */
  readonly result?: number
  readonly applied?: boolean
  /** Place of the appended value. */
  readonly position?: number
}

/** Objects are short-lived; the oldest ones go, on every node at the same command. */
const MAX_OBJECTS = 400

export interface Image {
  /** Index of the last applied entry. */
  readonly index: number
  readonly registers: readonly [string, number][]
  readonly logs: readonly [string, number[]][]
}

export class StateMachine {
  readonly #registers: Map<string, number>
  readonly #logs: Map<string, number[]>
  #index: number

  constructor(image: Image = { index: -1, registers: [], logs: [] }) {
    this.#index = image.index
    this.#registers = new Map(image.registers)
    this.#logs = new Map(image.logs)
  }

  /** Of the last entry that was applied. */
  get index(): number {
    return this.#index
  }

  /** Entries come in order; those that are no commands (undefined) only count. */
  apply(index: number, command: Command | undefined): Effect {
    if (index <= this.#index) throw new Error(`${index} after ${this.#index}`)
    this.#index = index
    if (command === undefined) return {}
    const { op, object, value, expected } = command
    if (op === 'append') {
      const log = this.#logs.get(object) ?? []
      log.push(value)
      keep(this.#logs, object, log)
      return { position: log.length - 1 }
    }
    const found = this.register(object)
    const applied = op === 'write' || found === expected
    keep(this.#registers, object, applied ? value : found)
    return op === 'write' ? {} : { result: found, applied }
  }

  register(object: string): number {
    return this.#registers.get(object) ?? 0
  }

  log(object: string): readonly number[] {
    return this.#logs.get(object) ?? []
  }

  image(): Image {
    return { index: this.#index, registers: [...this.#registers], logs: [...this.#logs] }
  }
}

function keep<Value>(map: Map<string, Value>, object: string, value: Value): void {
  map.set(object, value)
  if (map.size <= MAX_OBJECTS) return
  const [oldest] = map.keys()
  map.delete(oldest!)
}
