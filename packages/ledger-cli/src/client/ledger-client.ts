/**
 * A client of a group of `ledger server` processes (or of DLedger's servers, as far as they go).
 * Owns two rules: a write is sent again only when it cannot be in the log, unless the caller takes
 * the risk of having it twice; and everything ends within the time the caller gives it.
 */
import { LedgerError } from '@ringledger/base'
import type { Appended, LedgerStatus } from '@ringledger/engine'
import type { MemberAddress } from '../peers.ts'
import type { Body } from '../wire/body.ts'
import { codeText, DledgerCode, DledgerRequest, mayCommitAfter } from '../wire/codes.ts'
import { entriesOf, needed, peersOf, statusOf, type WireEntry } from '../wire/messages.ts'
import { type LinkAnswer, MemberLink, NoAnswer } from './member-link.ts'

export interface LedgerClientOptions {
  /** At least one member; the others are learned from it. */
  readonly members: readonly MemberAddress[]
  readonly group: string
  /** One request waits this long. Default 3000, as DLedger's. */
  readonly requestTimeoutMs?: number
  /** A whole call waits this long for a leader that does it. Default 10,000. */
  readonly deadlineMs?: number
}

/** Every attempt failed, or one of which nobody knows. */
export class ClientError extends LedgerError {
  /** A write may be in the log, once or more often. */
  readonly mayCommit: boolean

  constructor(code: LedgerError['code'], message: string, mayCommit: boolean) {
    super(code, message)
    this.mayCommit = mayCommit
  }

  override get mayStillCommit(): boolean {
    return this.mayCommit
  }
}

/** What one member says of itself, or why it does not. */
export interface MemberReport {
  readonly id: string
  readonly address: string
  readonly answer: LinkAnswer | undefined
  readonly error: string | undefined
}

export interface EntriesRead {
  readonly entries: readonly WireEntry[]
  /** Where to go on. */
  readonly nextIndex: number
  /** Why there are none, for people. */
  readonly remark: string | undefined
}

const DEFAULT_REQUEST_TIMEOUT_MS = 3_000
const DEFAULT_DEADLINE_MS = 10_000
const TRANSFER_TIMEOUT_MS = 10_000
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 400

/** Codes after which another member, or the same one a little later, will do it. */
const TRY_AGAIN: ReadonlySet<number> = new Set<number>([
  DledgerCode.NOT_LEADER,
  DledgerCode.LEADER_NOT_READY,
  DledgerCode.LEADER_TRANSFERRING,
  DledgerCode.LEADER_PENDING_FULL,
  DledgerCode.DISK_FULL,
  DledgerCode.TERM_CHANGED,
  DledgerCode.WAIT_QUORUM_ACK_TIMEOUT,
  DledgerCode.ILLEGAL_MEMBER_STATE,
  DledgerCode.DISK_ERROR,
])

export class LedgerClient {
  readonly #group: string
  readonly #requestTimeoutMs: number
  readonly #deadlineMs: number
  readonly #links: MemberLink[]
  #leader: MemberLink | undefined
  #next = 0
  #closed = false

  constructor(options: LedgerClientOptions) {
    this.#group = options.group
    this.#requestTimeoutMs = options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS
    this.#deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS
    this.#links = options.members.map((member) => new MemberLink(member))
  }

  /**
   * Appends entries, one after another without another between them; resolves with where the last
   * one stands. With `retryUnsure` they may be in the log more than once afterwards.
   * @throws ClientError, which says whether they may be in the log
   */
  async append(
    bodies: readonly Buffer[],
    { retryUnsure = false }: { retryUnsure?: boolean } = {},
  ): Promise<Appended> {
    const encoded = bodies.map((body) => body.toString('base64'))
    const request = encoded.length === 1 ? { body: encoded[0] } : { batchMsgs: encoded }
    const { body } = await this.#askLeader(DledgerRequest.APPEND, request, {
      isWrite: true,
      retryUnsure,
    })
    return {
      index: needed(body, 'index'),
      term: needed(body, 'term'),
      position: needed(body, 'pos'),
    }
  }

  /** The committed entry at `index`, linearizably; undefined when it opens a leader's term. */
  async get(index: number): Promise<WireEntry | undefined> {
    const answer = await this.#askLeader(DledgerRequest.GET, { beginIndex: index })
    return entriesOf(answer).find((entry) => entry.index === index)
  }

  /**
   * Committed entries from `index` on, up to some `maxBytes`; at the end of the log it waits up to
   * `waitMs` for the next one and then resolves with none.
   */
  async read(index: number, maxBytes: number, waitMs: number): Promise<EntriesRead> {
    const request = { beginIndex: index, maxSize: maxBytes, waitMs }
    const answer = await this.#askLeader(DledgerRequest.GET, request, {
      extraTimeoutMs: waitMs,
      accept: DledgerCode.INDEX_OUT_OF_RANGE,
    })
    const entries = entriesOf(answer)
    const { nextIndex } = answer.body
    const next =
      typeof nextIndex === 'number' ? nextIndex : (entries.at(-1)?.index ?? index - 1) + 1
    return { entries, nextIndex: next, remark: answer.remark }
  }

  /** Asks every known member, and those that they name, what it knows. */
  async members(): Promise<MemberReport[]> {
    const known = this.#links.length
    const first = await Promise.all(this.#links.map((link) => this.#report(link)))
    const learned = await Promise.all(this.#links.slice(known).map((link) => this.#report(link)))
    return [...first, ...learned].sort((left, right) => (left.id < right.id ? -1 : 1))
  }

  /**
   * Hands leadership to `target`, else to the follower with the most of the log. Resolves with who
   * led before.
   * @throws ClientError
   */
  async transfer(target: string | undefined): Promise<{ from: string; term: number }> {
    const leader = await this.#findLeader(performance.now() + this.#deadlineMs)
    const { term } = await this.#metadata(leader)
    const request = { transferId: leader.id, transfereeId: target, term }
    const answer = await this.#ask(
      leader,
      DledgerRequest.LEADERSHIP_TRANSFER,
      request,
      TRANSFER_TIMEOUT_MS,
    )
    if (answer.code !== DledgerCode.SUCCESS) throw refused(leader, answer, false)
    this.#leader = undefined
    return { from: leader.id, term: answer.term }
  }

  /** Resolves with who leads and serves. @throws ClientError when nobody does in time */
  async awaitLeader(): Promise<{ leaderId: string; term: number }> {
    const deadlineMs = performance.now() + this.#deadlineMs
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const leader = await this.#findLeader(deadlineMs)
      const status = await this.#statusOf(leader)
      if (status?.serving === true) return { leaderId: status.selfId, term: status.term }
      this.#leader = undefined
      if (performance.now() + pauseMs > deadlineMs) {
        throw new ClientError('NOT_SERVING', `${leader.name} does not serve yet`, false)
      }
      await pause(pauseMs)
    }
  }

  /** The first and the last committed index that the leader has. @throws ClientError */
  async bounds(): Promise<{ first: number; last: number }> {
    const { leaderId } = await this.awaitLeader()
    const leader = this.#links.find(({ id }) => id === leaderId) ?? this.#links[0]!
    const status = await this.#statusOf(leader)
    return { first: status?.first.index ?? 0, last: status?.committed.index ?? -1 }
  }

  /** Calls under way end with CLOSED. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#links.map((link) => link.close()))
  }

  /** Sends a request to the leader, whoever that becomes, until one does it. */
  async #askLeader(code: number, request: Body, how: How = {}): Promise<LinkAnswer> {
    const deadlineMs = performance.now() + this.#deadlineMs + (how.extraTimeoutMs ?? 0)
    let unsure = ''
    let pauseMs = FIRST_PAUSE_MS
    for (;;) {
      let failure: ClientError
      try {
        const leader = await this.#findLeader(deadlineMs)
        const timeoutMs = this.#requestTimeoutMs + (how.extraTimeoutMs ?? 0)
        const answer = await this.#ask(leader, code, request, timeoutMs)
        if (answer.code === DledgerCode.SUCCESS || answer.code === how.accept) return answer
        this.#follow(answer)
        const mayCommit = how.isWrite === true && (answer.mayCommit ?? mayCommitAfter(answer.code))
        failure = refused(leader, answer, mayCommit)
        if (!mayRecover(answer.code, how)) throw withUnsure(failure, unsure)
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error
        this.#leader = undefined
        failure = new ClientError('TIMEOUT', error.message, how.isWrite === true && error.mayBeDone)
      }
      if (failure.mayCommit && (this.#closed || how.retryUnsure !== true)) throw failure
      if (failure.mayCommit) unsure = failure.message
      if (performance.now() + pauseMs > deadlineMs) throw withUnsure(failure, unsure)
      await pause(pauseMs)
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
  }

  /** @throws ClientError when the time is over */
  async #findLeader(deadlineMs: number): Promise<MemberLink> {
    this.#refuseClosed()
    if (this.#leader !== undefined) return this.#leader
    let pauseMs = FIRST_PAUSE_MS
    const seen = new Map<string, string>()
    for (;;) {
      for (let tried = 0; tried < this.#links.length; tried++) {
        const link = this.#links[this.#next++ % this.#links.length]!
        const found = await this.#leaderSeenBy(link, seen)
        if (found !== undefined) return found
      }
      if (performance.now() + pauseMs > deadlineMs) {
        const said = [...seen.values()].join('; ')
        throw new ClientError('NOT_LEADER', `no leader was found: ${said}`, false)
      }
      await pause(pauseMs)
      this.#refuseClosed()
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
  }

  #refuseClosed(): void {
    if (this.#closed) throw new ClientError('CLOSED', 'the client was closed', false)
  }

  async #statusOf(link: MemberLink): Promise<LedgerStatus | undefined> {
    try {
      return statusOf(await this.#metadata(link))
    } catch (error) {
      if (error instanceof NoAnswer) return undefined
      throw error
    }
  }

  async #leaderSeenBy(
    link: MemberLink,
    seen: Map<string, string>,
  ): Promise<MemberLink | undefined> {
    try {
      this.#follow(await this.#metadata(link))
      if (this.#leader === undefined) seen.set(link.address, `${link.address} knows none`)
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error
      seen.set(link.address, error.message)
    }
    return this.#leader
  }

  /** @throws NoAnswer, ClientError for another group or a stranger */
  async #metadata(link: MemberLink): Promise<LinkAnswer> {
    const answer = await this.#ask(link, DledgerRequest.METADATA, {}, this.#requestTimeoutMs)
    if (answer.code !== DledgerCode.SUCCESS) throw refused(link, answer, false)
    link.identify(statusOf(answer)?.selfId ?? '')
    this.#learn(answer)
    return answer
  }

  #ask(link: MemberLink, code: number, body: Body, timeoutMs: number): Promise<LinkAnswer> {
    return link.ask(code, { ...body, group: this.#group }, timeoutMs)
  }

  async #report(link: MemberLink): Promise<MemberReport> {
    const { address } = link
    try {
      const answer = await this.#metadata(link)
      return { id: link.id, address, answer, error: undefined }
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
      return { id: link.id, address, answer: undefined, error: error.message }
    }
  }

  /** Members that an answer names and nobody knew. */
  #learn(answer: LinkAnswer): void {
    for (const [id, address] of peersOf(answer)) {
      if (this.#links.some((link) => link.id === id || link.address === address)) continue
      const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address)
      if (match === null) continue
      const host = (match[1] ?? match[2])!
      this.#links.push(new MemberLink({ id, host, port: Number(match[3]) }))
    }
  }

  #follow({ leaderId, body }: LinkAnswer): void {
    const peers = peersOf({ body } as LinkAnswer)
    const address = leaderId === undefined ? undefined : peers.get(leaderId)
    this.#leader = this.#links.find((link) => {
      return leaderId !== undefined && (link.id === leaderId || link.address === address)
    })
  }
}

interface How {
  readonly isWrite?: boolean
  readonly retryUnsure?: boolean
  readonly extraTimeoutMs?: number
  /** Another code than SUCCESS that the caller understands. */
  readonly accept?: number
}

/** A read may meet a damaged entry, which its member repairs from the others. */
function mayRecover(code: number, { isWrite }: How): boolean {
  return TRY_AGAIN.has(code) || (isWrite !== true && code === DledgerCode.INTERNAL_ERROR)
}

function refused(link: MemberLink, answer: LinkAnswer, mayCommit: boolean): ClientError {
  const text = `${link.name} answered ${codeText(answer.code)}: ${answer.remark ?? 'no reason given'}`
  return new ClientError('BUSY', text, mayCommit)
}

/** An attempt before this one may have done it. */
function withUnsure(failure: ClientError, unsure: string): ClientError {
  if (unsure === '') return failure
  const text = `${failure.message} (and before: ${unsure})`
  return new ClientError(failure.code, text, true)
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs))
}
