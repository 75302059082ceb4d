/**
 * One connection that sends the same message again and again, as cheaply as Node can: the frame is
 * encoded once and only its `opaque` is written anew, answers are not decoded, and buffers are used
 * again, since a load that collects garbage takes both cores from whom it measures. Invariant: what
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
const READ_BYTES = 64 * 1024
const CODE = Buffer.from('"code":')
const OPAQUE = Buffer.from('"opaque":')
const NOTHING = Buffer.alloc(0)
const ZERO = 0x30
const MINUS = 0x2d

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
  #batch: Buffer = Buffer.allocUnsafeSlow(BATCH_BYTES)
  #batchBytes = 0
  /** Batches that have been written. */
  readonly #spare: Buffer[] = []
  #flushing = false
  #unread: Buffer = NOTHING
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
      let connection: SendConnection | undefined
      const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
      const callback = (bytes: number) => {
        if (connection !== undefined) connection.#onData(buffer.subarray(0, bytes))
        return true
      }
      const onread = { buffer, callback }
      const socket = connect({ host: host ?? '', port: Number(port), onread })
      const timer = setTimeout(() => socket.destroy(new Error(`${address}: timeout`)), timeoutMs)
      socket.once('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      socket.once('connect', () => {
        clearTimeout(timer)
        socket.removeAllListeners('error')
        connection = new SendConnection(socket, templates, handlers)
        resolve(connection)
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
    const batch = this.#batch
    this.#socket.write(batch.subarray(0, this.#batchBytes), () => this.#spare.push(batch))
    this.#batch = this.#spare.pop() ?? Buffer.allocUnsafeSlow(batch.length)
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
      this.#onHeader(bytes, at + HEADER_AT, at + HEADER_AT + headerBytes)
      at += 4 + frameBytes
    }
    // A copy: the chunk is read into again.
    this.#unread = at === bytes.length ? NOTHING : Buffer.from(bytes.subarray(at))
  }

  #onHeader(bytes: Buffer, from: number, to: number): void {
    const code = numberAfter(bytes, from, to, CODE)
    const lane = numberAfter(bytes, from, to, OPAQUE) - OPAQUE_BASE
    const header = code === 0 ? undefined : JSON.parse(bytes.toString('utf8', from, to))
    this.#handlers.onAnswer(lane, code, String(header?.remark ?? ''))
  }
}

/** NaN when the name is not there. */
function numberAfter(bytes: Buffer, from: number, to: number, name: Buffer): number {
  for (let at = from; at + name.length < to; at++) {
    let same = 0
    while (same < name.length && bytes[at + same] === name[same]) same++
    if (same === name.length) return numberAt(bytes, at + same)
  }
  return Number.NaN
}

function numberAt(bytes: Buffer, from: number): number {
  const negative = bytes[from] === MINUS
  let value = 0
  for (let at = negative ? from + 1 : from; ; at++) {
    const digit = (bytes[at] ?? 0) - ZERO
    if (digit < 0 || digit > 9) return negative ? -value : value
    value = value * 10 + digit
  }
}
