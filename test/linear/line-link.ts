/**
 * A client's connection to a test node: a line of JSON for a request, a line for its answer. Owns
 * the difference that a history needs: what was never sent has failed, what was sent and not
 * answered may have happened.
 */
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

const CONNECT_LIMIT_MS = 500

export type NodeAnswer = Readonly<Record<string, unknown>>

export class LineLink {
  readonly #host: string
  readonly #port: number
  readonly #waiting = new Map<number, (answer: NodeAnswer) => void>()
  #socket: Socket | undefined
  #nextId = 1

  constructor(host: string, port: number) {
    this.#host = host
    this.#port = port
  }

  /** An answer has `outcome`; without one from the node it says what is known. */
  async request(body: object, limitMs: number): Promise<NodeAnswer> {
    const socket = this.#socket ?? (await this.#connect().catch(() => undefined))
    if (socket === undefined) return { outcome: 'failed' }
    const id = this.#nextId++
    return await new Promise((resolve) => {
      const limit = setTimeout(() => settle({ outcome: 'unknown' }), limitMs)
      const settle = (answer: NodeAnswer): void => {
        clearTimeout(limit)
        this.#waiting.delete(id)
        resolve(answer)
      }
      this.#waiting.set(id, settle)
      socket.write(`${JSON.stringify({ id, ...body })}\n`)
    })
  }

  close(): void {
    this.#socket?.destroy()
  }

  #connect(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: this.#host, port: this.#port, noDelay: true })
      socket.setTimeout(CONNECT_LIMIT_MS, () => socket.destroy())
      socket.once('connect', () => {
        socket.setTimeout(0)
        this.#socket = socket
        resolve(socket)
      })
      socket.on('error', () => {})
      socket.once('close', () => {
        reject(new Error(`no connection with ${this.#host}`))
        this.#lost(socket)
      })
      const lines = createInterface(socket)
      lines.on('line', (line) => this.#answered(line))
      // The reader says a socket's error once more.
      lines.on('error', () => {})
    })
  }

  #answered(line: string): void {
    const answer = JSON.parse(line) as NodeAnswer & { id: number }
    this.#waiting.get(answer.id)?.(answer)
  }

  #lost(socket: Socket): void {
    if (this.#socket !== socket) return
    this.#socket = undefined
    for (const settle of [...this.#waiting.values()]) settle({ outcome: 'unknown' })
  }
}
