/**
 * What a `ledger server` answers: DLedger's requests 50000, 50001, 50002 and 51005 on a ledger
 * (reference dledger.md §1). Owns the rules that a GET is linearizable (DLedger's is not) and that
 * a refusal says whether the write may still commit.
 */
import { LedgerError } from '@ringledger/base'
import { AppendError, type Appended, type Ledger, TrimmedError } from '@ringledger/engine'
import { type Body, bytesOf, integerIn, listIn, textIn } from '../wire/body.ts'
import { codeOfError, DledgerCode, DledgerRequest } from '../wire/codes.ts'
import { entryBody } from '../wire/messages.ts'
import { CommitWaiters } from './commit-waiters.ts'
import { Slots } from './slots.ts'

export interface LedgerServiceOptions {
  readonly ledger: Ledger
  readonly group: string
  readonly selfId: string
  /** Where clients reach each member, `host:port` by id. */
  readonly clients: ReadonlyMap<string, string>
}

/** An answer: its body, and a remark for people when something is wrong. */
export interface ServiceAnswer {
  readonly body: Body
  readonly remark?: string
}

/** Bodies of one GET answer together; one entry may be longer. */
export const MAX_GET_BYTES: number = 1024 * 1024
/** GET answers that are made at a time: each holds its entries and their Base64. */
const MAX_READS = 8
/** A GET waits no longer for the next entry. */
export const MAX_WAIT_MS = 30_000

/** A refusal with a code of DLedger's that no error of ours stands for. */
class Refused extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export class LedgerService {
  readonly #options: LedgerServiceOptions
  readonly #ledger: Ledger
  readonly #waiters: CommitWaiters
  readonly #reads = new Slots(MAX_READS)

  constructor(options: LedgerServiceOptions) {
    this.#options = options
    this.#ledger = options.ledger
    this.#waiters = new CommitWaiters(options.ledger)
  }

  /** Answers one request; never rejects for what a client sent. */
  async answer(code: number, request: Body): Promise<ServiceAnswer> {
    try {
      this.#checkReceiver(request)
      return await this.#handle(code, request)
    } catch (error) {
      return this.#refusal(error, request)
    }
  }

  /** Requests that wait end now. */
  close(): void {
    this.#waiters.close()
  }

  async #handle(code: number, request: Body): Promise<ServiceAnswer> {
    switch (code) {
      case DledgerRequest.METADATA:
        return this.#metadata()
      case DledgerRequest.APPEND:
        return await this.#append(request)
      case DledgerRequest.GET:
        return await this.#get(request)
      case DledgerRequest.LEADERSHIP_TRANSFER:
        return await this.#transfer(request)
      default: {
        const why = `request ${code} is not for clients: the members of a group speak RingLedger's`
        throw new Refused(DledgerCode.UNSUPPORTED, `${why} own protocol on their peer port`)
      }
    }
  }

  #checkReceiver(request: Body): void {
    const { group, selfId } = this.#options
    const wantedId = textIn(request, 'remoteId')
    if (wantedId !== undefined && wantedId !== selfId) {
      throw new Refused(DledgerCode.UNKNOWN_MEMBER, `this is member ${selfId}, not ${wantedId}`)
    }
    const wantedGroup = textIn(request, 'group')
    if (wantedGroup !== undefined && wantedGroup !== group) {
      const why = `this is a member of group ${group}, not ${wantedGroup}`
      throw new Refused(DledgerCode.UNKNOWN_GROUP, why)
    }
  }

  #metadata(): ServiceAnswer {
    const status = this.#ledger.status()
    const peers = Object.fromEntries(this.#options.clients)
    const body = { ...this.#success(status.term), leaderId: status.leaderId, peers, status }
    return { body }
  }

  async #append(request: Body): Promise<ServiceAnswer> {
    const batch = listIn(request, 'batchMsgs')
    if (batch === undefined) {
      if (request.body === undefined || request.body === null) {
        throw new Refused(DledgerCode.UNEXPECTED_ARGUMENT, 'body is missing')
      }
      return this.#appended(await this.#ledger.append(bytesOf(request.body, 'body')), 1)
    }
    const bodies = batch.map((value, at) => bytesOf(value, `batchMsgs[${at}]`))
    if (bodies.length === 0) {
      throw new Refused(DledgerCode.REQUEST_WITH_EMPTY_BODYS, 'batchMsgs is empty')
    }
    const appended = await this.#ledger.appendBatch(bodies)
    return this.#appended(appended.at(-1)!, bodies.length)
  }

  /** Of a batch: its last entry, as DLedger answers; the others lie right before it. */
  #appended({ index, term, position }: Appended, count: number): ServiceAnswer {
    const { selfId } = this.#options
    return { body: { ...this.#success(term), leaderId: selfId, index, pos: position, count } }
  }

  async #get(request: Body): Promise<ServiceAnswer> {
    const begin = integerIn(request, 'beginIndex')
    if (begin === undefined || begin < 0) {
      throw new Refused(DledgerCode.INDEX_OUT_OF_RANGE, 'beginIndex is missing or below 0')
    }
    const maxBytes = Math.min(Math.max(0, integerIn(request, 'maxSize') ?? 0), MAX_GET_BYTES)
    const waitMs = Math.min(Math.max(0, integerIn(request, 'waitMs') ?? 0), MAX_WAIT_MS)
    let endIndex = (await this.#ledger.readIndex()).index
    if (begin > endIndex && waitMs > 0) endIndex = await this.#waiters.reach(begin, waitMs)
    if (begin > endIndex) {
      const where = endIndex < 0 ? 'the log is empty' : `the log ends at index ${endIndex}`
      throw new Refused(DledgerCode.INDEX_OUT_OF_RANGE, where)
    }
    const untilIndex = maxBytes === 0 ? begin : endIndex
    return await this.#reads.run(() => this.#entries(begin, untilIndex, maxBytes))
  }

  /** `nextIndex` is ours: where to go on, past the entries that open a term and hold no data. */
  async #entries(begin: number, endIndex: number, maxBytes: number): Promise<ServiceAnswer> {
    const entries: Body[] = []
    let nextIndex = endIndex + 1
    let sizeBytes = 0
    for await (const entry of this.#ledger.read({ index: begin }, { untilIndex: endIndex })) {
      if (entries.length > 0 && sizeBytes + entry.body.length > maxBytes) {
        nextIndex = entry.index
        break
      }
      sizeBytes += entry.body.length
      entries.push(entryBody(entry))
    }
    const { term } = this.#ledger.status()
    const body = { ...this.#success(term), entries, nextIndex }
    if (entries.length > 0 || maxBytes > 0) return { body }
    return { body, remark: `index ${begin} opens the term of a leader and holds no data` }
  }

  async #transfer(request: Body): Promise<ServiceAnswer> {
    const { selfId, clients } = this.#options
    const target = textIn(request, 'transfereeId')
    const from = textIn(request, 'transferId')
    const { term, role, leaderId } = this.#ledger.status()
    if (from !== undefined && from !== selfId) {
      throw new Refused(DledgerCode.UNEXPECTED_ARGUMENT, `transferId is ${from}, this is ${selfId}`)
    }
    if (target !== undefined && !clients.has(target)) {
      const known = [...clients.keys()].join(', ')
      throw new Refused(DledgerCode.UNKNOWN_MEMBER, `${target} is no member; members: ${known}`)
    }
    if (role !== 'leader')
      throw new AppendError('NOT_LEADER', `${selfId} does not lead`, false, leaderId)
    const wantedTerm = integerIn(request, 'term') ?? -1
    if (wantedTerm >= 0 && wantedTerm !== term) {
      throw new Refused(DledgerCode.INCONSISTENT_TERM, `the term is ${term}, not ${wantedTerm}`)
    }
    try {
      await this.#ledger.transferLeadership(target)
    } catch (error) {
      if (!(error instanceof LedgerError) || error.code !== 'TIMEOUT') throw error
      throw new Refused(DledgerCode.TAKE_LEADERSHIP_FAILED, error.message)
    }
    return { body: this.#success(this.#ledger.status().term) }
  }

  #success(term: number): Body {
    const { group, selfId } = this.#options
    return { code: DledgerCode.SUCCESS, group, localId: selfId, term }
  }

  #refusal(error: unknown, request: Body): ServiceAnswer {
    const { group, selfId } = this.#options
    const { term, leaderId } = this.#ledger.status()
    const known = error instanceof Refused || error instanceof LedgerError
    const remark = known ? error.message : `an error of the server: ${String(error)}`
    const code =
      error instanceof Refused
        ? error.code
        : error instanceof LedgerError
          ? codeOfError(error.code)
          : DledgerCode.INTERNAL_ERROR
    const mayCommit = error instanceof LedgerError ? error.mayStillCommit : !known
    const leader = (error instanceof AppendError ? error.leaderId : undefined) ?? leaderId
    const firstIndex = error instanceof TrimmedError ? error.firstIndex : undefined
    const remoteId = typeof request.remoteId === 'string' ? request.remoteId : undefined
    const base = { group, localId: selfId, remoteId, term, leaderId: leader }
    return { body: { ...base, code, mayCommit, firstIndex }, remark }
  }
}
