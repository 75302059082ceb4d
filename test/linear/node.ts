/**
 * A node of replicated registers and logs on `openLedger`, for histories. A line of JSON asks, a
 * line answers; the answer to a change is sent after it was applied here, a read's after a
 * linearizable barrier. The one argument is the {@link NodeConfig}.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { AppendError, type Ledger, openLedger } from '../../packages/engine/src/index.ts'
import { type Command, type Effect, type Image, StateMachine } from './state-machine.ts'

export interface NodeConfig {
  readonly id: string
  readonly directory: string
  readonly members: readonly { id: string; host: string; port: number }[]
  readonly clientHost: string
  readonly clientPort: number
}

interface Request extends Command {
  readonly id: number
  readonly position?: number
  readonly count?: number
  readonly linear?: boolean
}

const SEGMENT_BYTES = 4 * 1024 * 1024
const ARENA_BYTES = 4 * 1024 * 1024
const MAX_ENTRY_BYTES = 64 * 1024
/** After so many applied entries, so that a restart need not read the whole log. */
const IMAGE_EVERY = 2000
const EFFECTS_KEPT = 4096
/** In a history: an entry that is nobody's operation. */
const NOBODYS = -1

class Node {
  readonly #ledger: Ledger
  readonly #imagePath: string
  readonly #machine: StateMachine
  readonly #effects = new Map<number, Effect>()
  #waiting: { readonly index: number; readonly resolve: () => void }[] = []
  #applied: number
  #target: number
  #imageAt: number
  #pumping = false

  constructor(ledger: Ledger, directory: string) {
    this.#ledger = ledger
    this.#imagePath = join(directory, 'image.json')
    this.#machine = new StateMachine(readImage(this.#imagePath))
    this.#applied = this.#machine.index
    this.#target = this.#applied
    this.#imageAt = this.#applied
    ledger.subscribe({
      onCommit: ({ index }) => this.#reach(index),
      onHalted: (halted) => say({ halted }),
    })
    this.#reach(ledger.status().committed.index)
  }

  async answer(request: Request): Promise<object> {
    switch (request.op as string) {
      case 'write':
      case 'cas':
      case 'append':
        return await this.#change(request)
      case 'get':
        return await this.#get(request)
      default:
        return await this.#read(request)
    }
  }

  async #change({ op, object, value, expected }: Request): Promise<object> {
    const command: Command = { op, object, value, ...(expected === undefined ? {} : { expected }) }
    const { index, term } = await this.#ledger.append(Buffer.from(JSON.stringify(command)))
    await this.#until(index)
    return { index, term, ...this.#effects.get(index) }
  }

  async #read(request: Request): Promise<object> {
    await this.#until((await this.#ledger.readIndex()).index)
    if (request.object.startsWith('register/')) {
      return { result: this.#machine.register(request.object) }
    }
    const log = this.#machine.log(request.object)
    switch (request.op as string) {
      case 'read':
        return { result: log[request.position!] ?? 0 }
      case 'last':
        return { length: log.length, result: log.at(-1) ?? 0 }
      default:
        return { values: [...log] }
    }
  }

  /** Entries of the group's log as they are stored here. */
  async #get({ position = 0, count = 1, linear }: Request): Promise<object> {
    if (linear) await this.#ledger.readIndex()
    const values: number[] = []
    const untilIndex = position + count - 1
    for await (const { index, body } of this.#ledger.read({ index: position }, { untilIndex })) {
      while (values.length < index - position) values.push(NOBODYS)
      values.push(commandIn(body)?.value ?? NOBODYS)
    }
    return { values }
  }

  #until(index: number): Promise<void> {
    if (this.#applied >= index) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push({ index, resolve })
      this.#reach(index)
    })
  }

  /** Everything up to there is committed and readable here. */
  #reach(index: number): void {
    this.#target = Math.max(this.#target, index)
    if (this.#pumping || this.#applied >= this.#target) return
    this.#pumping = true
    this.#pump().catch(failed)
  }

  async #pump(): Promise<void> {
    while (this.#applied < this.#target) {
      const untilIndex = this.#target
      const from = { index: this.#applied + 1 }
      for await (const { index, body } of this.#ledger.read(from, { untilIndex })) {
        this.#keep(index, this.#machine.apply(index, commandIn(body)))
      }
      // Entries that open a term are left out by the reader.
      if (this.#machine.index < untilIndex) this.#machine.apply(untilIndex, undefined)
      this.#applied = untilIndex
      this.#saveImage()
      const met = this.#waiting.filter(({ index }) => index <= untilIndex)
      this.#waiting = this.#waiting.filter(({ index }) => index > untilIndex)
      for (const { resolve } of met) resolve()
    }
    this.#pumping = false
  }

  #keep(index: number, effect: Effect): void {
    this.#effects.set(index, effect)
    this.#effects.delete(index - EFFECTS_KEPT)
  }

  /** Not synced: processes are killed here, not the machine. */
  #saveImage(): void {
    if (this.#applied - this.#imageAt < IMAGE_EVERY) return
    this.#imageAt = this.#applied
    writeFileSync(`${this.#imagePath}.new`, JSON.stringify(this.#machine.image()))
    renameSync(`${this.#imagePath}.new`, this.#imagePath)
  }
}

function readImage(path: string): Image | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Image
  } catch {
    return undefined
  }
}

function commandIn(body: Uint8Array): Command | undefined {
  return body.length === 0 ? undefined : (JSON.parse(Buffer.from(body).toString()) as Command)
}

function serve(node: Node, socket: Socket): void {
  socket.on('error', () => socket.destroy())
  const lines = createInterface(socket)
  // The reader says a socket's error once more.
  lines.on('error', () => socket.destroy())
  lines.on('line', (line) => {
    const request = JSON.parse(line) as Request
    node.answer(request).then(
      (fields) => answer(socket, { id: request.id, outcome: 'ok', ...fields }),
      (error: unknown) => answer(socket, { id: request.id, ...refusal(error) }),
    )
  })
}

function answer(socket: Socket, fields: object): void {
  if (socket.writable) socket.write(`${JSON.stringify(fields)}\n`)
}

function refusal(error: unknown): object {
  const known = error instanceof AppendError
  return { outcome: known && !error.mayCommit ? 'failed' : 'unknown', error: String(error) }
}

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

function failed(error: unknown): void {
  say({ failed: error instanceof Error ? error.stack : String(error) })
  process.exit(1)
}

async function main(config: NodeConfig): Promise<void> {
  const { id, directory, members, clientHost, clientPort } = config
  const ledger = await openLedger({
    directory,
    group: 'linear',
    selfId: id,
    members,
    segmentBytes: SEGMENT_BYTES,
    arenaBytes: ARENA_BYTES,
    maxEntryBytes: MAX_ENTRY_BYTES,
    log: (level, line) => process.stderr.write(`${level} ${line}\n`),
  })
  const node = new Node(ledger, directory)
  const server = createServer((socket) => serve(node, socket))
  server.listen({ host: clientHost, port: clientPort })
}

main(JSON.parse(process.argv[2] ?? '{}') as NodeConfig).catch(failed)
