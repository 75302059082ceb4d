/**
 * A load that goes on over changes of leader. The client knows the address of every broker. It
 * sends to one of them over several connections with a window each; when that one refuses or its
 * connection ends, one message at a time looks for the next leader, all brokers in turn without a
 * pause, 5 ms between two rounds, and the others follow as soon as that message is acknowledged.
 */
import { Acknowledgements } from './gaps.ts'
import { SendConnection, sendTemplates } from './send-connection.ts'

export interface LoadOptions {
  /** `host:port` of every broker. */
  readonly brokers: readonly string[]
  readonly topic: string
  readonly bodyBytes: number
  readonly connections: number
  /** Unanswered messages of a connection. */
  readonly window: number
  /** Messages a second; 0: as many as are answered. */
  readonly rate: number
}

const CONNECT_TIMEOUT_MS = 500
const ANSWER_TIMEOUT_MS = 1500
const ROUND_PAUSE_MS = 5
const PACE_MS = 2
/** At most this much is made up for after a pause. */
const MAX_BURST_MS = 20

export class Load {
  readonly acknowledgements: Acknowledgements = new Acknowledgements()
  /** Index of the broker that acknowledged last. */
  leader = 0
  readonly #options: LoadOptions
  readonly #templates: ReturnType<typeof sendTemplates>
  #connections: (SendConnection | undefined)[]
  /** Answers to connections of an earlier leader do not start lanes again. */
  #epoch = 0
  #searching: Promise<void> | undefined
  #ended = false
  #credit = 0
  #paced: number[] = []
  readonly #pacer: NodeJS.Timeout | undefined

  private constructor(options: LoadOptions) {
    this.#options = options
    this.#templates = sendTemplates(options.topic, options.bodyBytes)
    this.#connections = []
    if (options.rate > 0) this.#pacer = this.#startPacer()
  }

  /** Resolves when the first message is acknowledged. */
  static async start(options: LoadOptions): Promise<Load> {
    const load = new Load(options)
    await load.#search()
    return load
  }

  get leaderAddress(): string {
    return this.#options.brokers[this.leader] as string
  }

  /** What a client does whose route has been refreshed: sends to the broker there from now on. */
  async turnTo(address: string): Promise<void> {
    await this.#searching
    if (address === this.leaderAddress) return
    this.#drop()
    this.leader = this.#options.brokers.indexOf(address)
    await this.#follow()
  }

  async end(): Promise<void> {
    this.#ended = true
    clearInterval(this.#pacer)
    await this.#searching
    this.#drop()
  }

  #search(): Promise<void> {
    this.#searching ??= this.#find().finally(() => {
      this.#searching = undefined
    })
    return this.#searching
  }

  async #find(): Promise<void> {
    const { brokers } = this.#options
    this.#drop()
    for (let tried = 1; !this.#ended; tried++) {
      const candidate = (this.leader + tried) % brokers.length
      if (await this.#probe(candidate)) {
        this.leader = candidate
        await this.#follow()
        return
      }
      if (tried % brokers.length === 0) await pause(ROUND_PAUSE_MS)
    }
  }

  /** One message to one broker; true when it was acknowledged. */
  #probe(candidate: number): Promise<boolean> {
    const address = this.#options.brokers[candidate] as string
    return new Promise((resolve) => {
      let connection: SendConnection | undefined
      let over = false
      const done = (error: string | undefined): void => {
        if (over) return
        over = true
        clearTimeout(timer)
        connection?.close()
        if (error === undefined) this.acknowledgements.add(performance.now())
        else this.acknowledgements.addError(error)
        resolve(error === undefined)
      }
      const timer = setTimeout(() => done('no answer in time'), ANSWER_TIMEOUT_MS)
      const handlers = {
        onAnswer: (_lane: number, code: number, remark: string) =>
          done(code === 0 ? undefined : errorText(code, remark)),
        onClosed: () => done('connection closed'),
      }
      SendConnection.open(address, this.#templates, handlers, CONNECT_TIMEOUT_MS).then(
        (opened) => {
          connection = opened
          if (over) opened.close()
          else opened.send(0)
        },
        (error: NodeJS.ErrnoException) => done(`not connected: ${error.code ?? error.message}`),
      )
    })
  }

  /** The leader is found: all lanes send to it. */
  async #follow(): Promise<void> {
    const { connections, window } = this.#options
    const epoch = ++this.#epoch
    const address = this.leaderAddress
    const opened = Array.from({ length: connections }, async (_, number) => {
      const handlers = {
        onAnswer: (lane: number, code: number, remark: string) =>
          this.#onAnswer(epoch, lane, code, remark),
        onClosed: () => this.#onFailure(epoch, 'connection closed'),
      }
      const connection = await SendConnection.open(
        address,
        this.#templates,
        handlers,
        CONNECT_TIMEOUT_MS,
      )
      if (this.#epoch !== epoch || this.#ended) return connection.close()
      this.#connections[number] = connection
      for (let at = 0; at < window; at++) this.#sendNext(number * window + at)
    })
    await Promise.all(opened).catch(() => this.#onFailure(epoch, 'not connected'))
  }

  #onAnswer(epoch: number, lane: number, code: number, remark: string): void {
    if (code === 0) {
      this.acknowledgements.add(performance.now())
      if (epoch === this.#epoch) this.#sendNext(lane)
    } else {
      this.acknowledgements.addError(errorText(code, remark))
      this.#onFailure(epoch)
    }
  }

  #onFailure(epoch: number, error?: string): void {
    if (epoch !== this.#epoch || this.#ended) return
    if (error !== undefined) this.acknowledgements.addError(error)
    this.#epoch++
    // A search that just found this leader ends first.
    setImmediate(() => void this.#search())
  }

  #sendNext(lane: number): void {
    if (this.#ended) return
    if (this.#pacer === undefined) this.#connections[this.#connectionOf(lane)]?.send(lane)
    else this.#paced.push(lane)
  }

  #connectionOf(lane: number): number {
    return Math.floor(lane / this.#options.window)
  }

  #startPacer(): NodeJS.Timeout {
    const { rate } = this.#options
    let beforeMs = performance.now()
    return setInterval(() => {
      const nowMs = performance.now()
      const burst = (rate * MAX_BURST_MS) / 1000
      this.#credit = Math.min(burst, this.#credit + ((nowMs - beforeMs) * rate) / 1000)
      beforeMs = nowMs
      while (this.#credit >= 1 && this.#paced.length > 0) {
        this.#credit--
        const lane = this.#paced.shift() as number
        this.#connections[this.#connectionOf(lane)]?.send(lane)
      }
    }, PACE_MS)
  }

  #drop(): void {
    this.#epoch++
    for (const connection of this.#connections) connection?.close()
    this.#connections = []
    this.#paced = []
  }
}

/** Numbers are left out, so that errors of one kind are counted together. */
function errorText(code: number, remark: string): string {
  return `code ${code} ${remark.replace(/\d+/g, '#')}`.trim()
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs)
  })
}
