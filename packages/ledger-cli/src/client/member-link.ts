/**
 * One member as a client sees it: its address and a connection that is made when it is needed. Owns
 * the answer to the one question that counts after an error: can the request have been done?
 */
import { LedgerError } from '@ringledger/base'
import { RemotingClient } from '@ringledger/network'
import { addressText, type MemberAddress } from '../peers.ts'
import { type Body, writeBody } from '../wire/body.ts'
import { readAnswer, type WireAnswer } from '../wire/messages.ts'

/** No answer. `mayBeDone`: the request went out, so that it may have been done. */
export class NoAnswer extends LedgerError {
  readonly mayBeDone: boolean

  constructor(message: string, mayBeDone: boolean, cause: unknown) {
    super(mayBeDone ? 'TIMEOUT' : 'BUSY', message, { cause })
    this.mayBeDone = mayBeDone
  }

  override get mayStillCommit(): boolean {
    return this.mayBeDone
  }
}

/** An answer with the remark that came with it. */
export interface LinkAnswer extends WireAnswer {
  readonly remark: string | undefined
}

export class MemberLink {
  /** `host:port` of its client port. */
  readonly address: string
  #id: string
  #client: RemotingClient | undefined
  #connecting: Promise<RemotingClient> | undefined

  constructor(member: MemberAddress) {
    this.#id = member.id
    this.address = addressText(member)
  }

  /** Empty until the member has said who it is. */
  get id(): string {
    return this.#id
  }

  /** What the member says of itself; what the user said stands. */
  identify(id: string): void {
    if (this.#id === '') this.#id = id
  }

  /** For people. */
  get name(): string {
    return this.id === '' ? this.address : this.id
  }

  /**
   * Sends one request and waits for its answer, whatever its code.
   * @throws NoAnswer
   */
  async ask(code: number, body: Body, timeoutMs: number): Promise<LinkAnswer> {
    const client = await this.#connected(timeoutMs)
    const remoteId = this.id === '' ? undefined : this.id
    try {
      const answer = await client.request(
        { code, body: writeBody({ ...body, remoteId }) },
        timeoutMs,
      )
      if (answer.body.length === 0) {
        throw new LedgerError('BAD_REQUEST', answer.remark ?? `code ${answer.code} and no body`)
      }
      return { ...readAnswer(answer.body), remark: answer.remark }
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
      throw new NoAnswer(`${this.name}: ${error.message}`, error.code !== 'BUSY', error)
    }
  }

  async close(): Promise<void> {
    await this.#client?.close()
  }

  async #connected(timeoutMs: number): Promise<RemotingClient> {
    if (this.#client?.connected === true) return this.#client
    this.#connecting ??= this.#connect(timeoutMs).finally(() => {
      this.#connecting = undefined
    })
    return await this.#connecting
  }

  async #connect(timeoutMs: number): Promise<RemotingClient> {
    const client = new RemotingClient({ connectTimeoutMs: timeoutMs })
    try {
      await client.connect(this.address)
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
      throw new NoAnswer(`${this.name}: ${error.message}`, false, error)
    }
    this.#client = client
    return client
  }
}
