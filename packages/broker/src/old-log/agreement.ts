/**
 * The first start of a member, before it takes part in the group: the members compare their copies
 * of the old commit log over the peer port, and this one starts, completes its copy, or refuses to.
 * Votes and entries that reach it meanwhile are not answered, so that it counts as nobody's copy.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import type { ForeignMessage } from '@ringledger/engine'
import { PeerHub, type PeerMessage } from '@ringledger/network'
import { ledgerSettingsOf } from '../ledger-settings.ts'
import type { NodeSettings } from '../node-settings.ts'
import { StartWork, type TellWork } from '../start-work.ts'
import { replaceText } from '../state/config-file.ts'
import { RECORDS_FILE } from '../take-over-records.ts'
import { completeCopy, forgetIncoming } from './completion.ts'
import { type CopyState, OldLogCopy, parseCopyState, parseTables, type Tables } from './copy.ts'
import { CopyQuestion } from './copy-messages.ts'
import { decideOldLog, type OldLogDecision } from './decide.ts'
import { describeDifference } from './difference.ts'
import { OldLogExchange } from './exchange.ts'
import { recordsOf } from './tables.ts'

type Log = (level: 'info' | 'warn' | 'error', line: string) => void

const LAST_ANSWERS_MS = 3_000
const SAY_WAITS_AFTER_MS = 2_000
/** A place is said more exactly if the other copy can be read within this time. */
const DIFFERENCE_LIMIT_MS = 60_000

export class OldLogAgreement {
  readonly #settings: NodeSettings
  readonly #log: Log
  readonly #work: StartWork
  readonly #copy: OldLogCopy
  readonly #exchange: OldLogExchange
  readonly #hub: PeerHub
  readonly #heard = new Map<string, CopyState>()
  readonly #tables = new Map<string, Tables>()
  /** Members that are counted on. */
  readonly #others: readonly string[]
  #ownEnds: readonly number[] = []
  #onNews: () => void = () => {}
  #saidWaits = ''

  constructor(settings: NodeSettings, log: Log, tellWork: TellWork) {
    this.#settings = settings
    this.#log = log
    this.#work = new StartWork(tellWork, (line) => log('info', line))
    const selfId = settings.dLegerSelfId
    const without = settings.oldCommitLogWithoutIds ?? []
    this.#others = settings.peers
      .map(({ id }) => id)
      .filter((id) => id !== selfId && !without.includes(id))
    this.#copy = new OldLogCopy(settings, (done, total) => {
      this.#work.progress('looks through its old commit log', done, total)
    })
    this.#hub = this.#makeHub()
    this.#exchange = new OldLogExchange(selfId, this.#copy, (to, message, pieces) =>
      this.#hub.send(to, message, pieces),
    )
  }

  /**
   * @throws LedgerError BAD_CONFIG when this copy cannot join, PORT_BUSY, DISK_FULL, DISK_FAILED
   */
  async run(): Promise<void> {
    await this.#copy.state([])
    await this.#hub.listen()
    try {
      while (!(await this.#step()));
    } finally {
      await this.#hub.close()
    }
  }

  /** True when this node may start. */
  async #step(): Promise<boolean> {
    const news = new Promise<void>((resolve) => {
      this.#onNews = resolve
    })
    const { dLegerSelfId } = this.#settings
    const own = await this.#copy.state(this.#ownEnds)
    const copies = new Map(this.#heard).set(dLegerSelfId, own)
    const unheard = this.#others.filter((id) => !this.#heard.has(id))
    const decision = decideOldLog(dLegerSelfId, copies, unheard)
    switch (decision.kind) {
      case 'start':
        forgetIncoming(this.#settings.storePathCommitLog)
        this.#noteSharedRecords(own)
        return true
      case 'complete':
        await this.#complete(own, decision)
        return false
      case 'refuse':
        throw await this.#refusal(own, decision)
      case 'wait':
        await this.#wait(news, decision.for)
        return false
    }
  }

  /** What comes over the hub is no Raft message yet: those are dropped. */
  #makeHub(): PeerHub {
    const { bindAddress, peers, dLegerSelfId } = this.#settings
    const { group, segmentBytes, maxEntryBytes } = ledgerSettingsOf(this.#settings)
    const port = peers.find(({ id }) => id === dLegerSelfId)?.port ?? 0
    return new PeerHub<PeerMessage>(
      {
        selfId: dLegerSelfId,
        group,
        segmentBytes,
        maxEntryBytes,
        host: bindAddress,
        port,
        peers,
        log: (level, line) => {
          if (level !== 'info') this.#log(level, line)
        },
      },
      {
        onMessage: (from, message, payload, start, end) =>
          this.#exchange.onMessage(from, message as ForeignMessage, payload, start, end),
        onConnected: (id) => void this.#hear(id),
        onDisconnected: (id) => this.#exchange.onDisconnected(id),
      },
    )
  }

  /** A peer that is lost while it is asked is asked again when it is back. */
  async #hear(id: string): Promise<void> {
    if (!this.#hub.oldLogs(id)) {
      this.#log('warn', `${id} runs a release that cannot compare old commit logs`)
      return
    }
    try {
      const tables = await this.#exchange.ask(id, CopyQuestion.TABLES)
      this.#tables.set(id, parseTables(tables, id))
      await this.#hearState(id)
    } catch (error) {
      const { message, code } = error as LedgerError
      if (code !== 'CLOSED') this.#log('warn', `the old commit log of ${id}: ${message}`)
    }
  }

  /** Digests are wanted at the ends of all copies, so that every two can be compared. */
  async #hearState(id: string): Promise<void> {
    const own = await this.#copy.state([])
    const ends = new Set([own.report.endOffset, ...this.#ownEnds])
    const bytes = await this.#exchange.ask(id, CopyQuestion.STATE, { digestAt: [...ends] })
    const state = parseCopyState(bytes, id)
    this.#heard.set(id, state)
    const end = state.report.endOffset
    if (!ends.has(end)) {
      this.#ownEnds = [...this.#ownEnds, end]
      const earlier = [...this.#heard.keys()].filter((other) => other !== id)
      await Promise.all(earlier.map((other) => this.#hearState(other)))
    }
    this.#onNews()
  }

  async #complete(
    own: CopyState,
    { reference, sources }: Extract<OldLogDecision, { kind: 'complete' }>,
  ): Promise<void> {
    const from = `from ${sources.join(' or ')}`
    this.#log(
      'info',
      `this copy of the old commit log ends at ${own.report.endOffset}, the group's at ` +
        `${reference.report.endOffset}: the rest comes ${from}`,
    )
    const directory = this.#settings.storePathCommitLog
    mkdirSync(directory, { recursive: true })
    await completeCopy({
      directory,
      reference,
      own: own.report,
      read: (position, sizeBytes) => this.#read(sources, position, sizeBytes),
      onProgress: (done, total) =>
        this.#work.progress(`completes its old commit log ${from}`, done, total),
      log: this.#log,
    })
    this.#copy.forget()
    this.#log('info', `the old commit log is complete up to ${reference.report.endOffset}`)
  }

  /** From whoever has it; waits while nobody is connected. */
  async #read(sources: readonly string[], position: number, sizeBytes: number): Promise<Buffer> {
    for (;;) {
      const news = new Promise<void>((resolve) => {
        this.#onNews = resolve
      })
      for (const source of sources) {
        if (!this.#hub.isConnected(source)) continue
        try {
          return await this.#readFrom(source, position, sizeBytes)
        } catch (error) {
          this.#log('warn', `reading the old commit log: ${(error as Error).message}`)
        }
      }
      await news
    }
  }

  async #readFrom(source: string, position: number, sizeBytes: number): Promise<Buffer> {
    const bytes = await this.#exchange.ask(source, CopyQuestion.READ, { position, sizeBytes })
    if (bytes.length === sizeBytes) return bytes
    throw new LedgerError('BAD_REQUEST', `${source} gave ${bytes.length} bytes of ${sizeBytes}`)
  }

  async #refusal(
    own: CopyState,
    { than, verdict }: Extract<OldLogDecision, { kind: 'refuse' }>,
  ): Promise<LedgerError> {
    const what = await describeDifference({
      directory: this.#settings.storePathCommitLog,
      own,
      other: this.#heard.get(than) ?? own,
      than,
      verdict,
      read: (position, sizeBytes) => this.#read([than], position, sizeBytes),
      limitMs: DIFFERENCE_LIMIT_MS,
    })
    // The others are to hear of this copy, too, before it is gone.
    await new Promise((resolve) => setTimeout(resolve, LAST_ANSWERS_MS))
    return new LedgerError(
      'BAD_CONFIG',
      `this copy of the old commit log cannot join its group: ${what}. Nothing was changed; compare ` +
        'the copies with "mqadmin upgrade compare", and give this node a copy that fits, or none',
    )
  }

  /** Once, before this node votes: what the group takes over besides messages. */
  noteRecords(others: readonly Tables[]): void {
    const path = join(this.#settings.storePathRootDir, 'config', RECORDS_FILE)
    if (existsSync(path)) return
    const known = others.map((tables) => tables[RECORDS_FILE]).find((text) => text !== undefined)
    const records = (): string => JSON.stringify(recordsOf([this.#copy.tables(), ...others]))
    replaceText(path, known ?? records())
  }

  /** A group that has begun and noted nothing has all of it in its log. */
  #noteSharedRecords(own: CopyState): void {
    const isFormed = [...this.#heard.values()].some(({ formed }) => formed)
    const others = [...this.#tables.values()]
    const isKnown = others.some((tables) => tables[RECORDS_FILE] !== undefined)
    if (isKnown || (!isFormed && own.report.messages > 0)) this.noteRecords(others)
  }

  /** Members that start together hear of each other at once: nothing is said of that. */
  async #wait(news: Promise<void>, ids: readonly string[]): Promise<void> {
    this.#work.at(`waits for ${ids.join(', ')}, to compare old commit logs`)
    const timer = setTimeout(() => this.#sayWaits(ids), SAY_WAITS_AFTER_MS)
    await news
    clearTimeout(timer)
  }

  #sayWaits(ids: readonly string[]): void {
    const whom = ids.join(', ')
    if (whom === this.#saidWaits) return
    this.#saidWaits = whom
    this.#log(
      'info',
      `first start of this node: waits for ${whom}, to compare what they have of an old commit log ` +
        `(oldCommitLogWithout=${ids.join(';')} starts without)`,
    )
  }
}
