/**
 * One connection that sends the same message again and again, as cheaply as Node can: the frame is
 * encoded once and only its `opaque` is written anew, and answers are not decoded. Invariant: what
 * was sent is answered once, by `onAnswer` or by `onClosed`.
 */
import { connect, type Socket } from 'node:net'
import { encodeCommand, RequestCode } from '@ringledger/protocol'

/** All opaques have its ten digits. */
const OPAQUE_BASE = 1_000_000_000
const QUEUES = 4
const BATCH_BYTES = 256 * 1024
const MAX_FRAME_BYTES = 16 * 1024 * 1024
const HEADER_AT = 8

export interface SendConnectionHandlers {
  /** `remark` is empty for a success. */
  onAnswer(lane: number, code: number, remark: string): void
  /** Nothing that is still unanswered will be. */
  onClosed(): void
}

export interface SendTemplate {
  readonly frame: Buffer
  readonly opaqueAt: number
}

/** The frames of a topic, one for each queue. */
export function sendTemplates(
  topic: string,
  bodyBytes: number,
  queues: number = QUEUES,
): SendTemplate[] {
  return Array.from({ length: queues }, (_, queueId) => {
    const ext = {
      a: 'bench',
      b: topic,
      c: 'TBW102',
      d: String(queues),
      e: String(queueId),
      f: '0',
      g: String(Date.now()),
      h: '0',
      i: '',
      j: '0',
      k: 'false',
      m: 'false',
    }
    const body = Buffer.alloc(bodyBytes, queueId + 1)
    const init = { code: RequestCode.SEND_MESSAGE_V2, opaque: OPAQUE_BASE, ext, body }
    const frame = encodeCommand(init)
    return { frame, opaqueAt: frame.indexOf(String(OPAQUE_BASE)) }
  })
}

export class SendConnection {
  readonly #templates: readonly SendTemplate[]
  readonly #handlers: SendConnectionHandlers
  readonly #socket: Socket
  #batch = Buffer.allocUnsafeSlow(BATCH_BYTES)
  #batchBytes = 0
  #flushing = false
  #unread: Buffer = Buffer.alloc(0)
  #closed = false
  #sent = 0

  private constructor(
    socket: Socket,
    templates: readonly SendTemplate[],
    handlers: SendConnectionHandlers,
  ) {
    this.#socket = socket
    this.#templates = templates
    this.#handlers = handlers
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#closed = true
      handlers.onClosed()
    })
  }

  /** @throws Error when nobody accepts there. */
  static open(
    address: string,
    templates: readonly SendTemplate[],
    handlers: SendConnectionHandlers,
    timeoutMs: number,
  ): Promise<SendConnection> {
    const [host, port] = address.split(':')
    return new Promise((resolve, reject) => {
      const socket = connect({ host: host ?? '', port: Number(port) })
      const timer = setTimeout(() => socket.destroy(new Error(`${address}: timeout`)), timeoutMs)
      socket.once('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      socket.once('connect', () => {
        clearTimeout(timer)
        socket.removeAllListeners('error')
        resolve(new SendConnection(socket, templates, handlers))
      })
    })
  }

  get open(): boolean {
    return !this.#closed && !this.#socket.destroyed
  }

  /** Sends one message; its answer names `lane`. */
  send(lane: number): void {
    const { frame, opaqueAt } = this.#templates[
      this.#sent++ % this.#templates.length
    ] as SendTemplate
    if (this.#batchBytes + frame.length > this.#batch.length) this.#flush()
    if (frame.length > this.#batch.length) this.#batch = Buffer.allocUnsafeSlow(2 * frame.length)
    const at = this.#batchBytes
    frame.copy(this.#batch, at)
    this.#batch.write(String(OPAQUE_BASE + lane), at + opaqueAt, 'latin1')
    this.#batchBytes += frame.length
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => {
      this.#flushing = false
      this.#flush()
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #flush(): void {
    if (this.#batchBytes === 0 || !this.open) return
    this.#socket.write(Buffer.from(this.#batch.subarray(0, this.#batchBytes)))
    this.#batchBytes = 0
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk])
    let at = 0
    while (bytes.length - at >= HEADER_AT) {
      const frameBytes = bytes.readInt32BE(at)
      if (frameBytes < 4 || frameBytes > MAX_FRAME_BYTES) {
        this.#socket.destroy()
        return
      }
      if (bytes.length - at < 4 + frameBytes) break
      const headerBytes = bytes.readInt32BE(at + 4) & 0xffffff
      this.#onHeader(bytes.toString('latin1', at + HEADER_AT, at + HEADER_AT + headerBytes))
      at += 4 + frameBytes
    }
    this.#unread = bytes.subarray(at)
  }

  #onHeader(header: string): void {
    const code = numberAfter(header, '"code":')
    const lane = numberAfter(header, '"opaque":') - OPAQUE_BASE
    const remark = code === 0 ? '' : String(JSON.parse(header).remark ?? '')
    this.#handlers.onAnswer(lane, code, remark)
  }
}

function numberAfter(text: string, name: string): number {
  return Number.parseInt(text.slice(text.indexOf(name) + name.length), 10)
}
