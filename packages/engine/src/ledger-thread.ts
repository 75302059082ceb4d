/**
 * A ledger's consensus thread: the log's core, the rings to the importer, and what it shows it.
 * Owns the order of a turn's end: what the disk did, what the importer asks, entries to disk and
 * peers, then the state that readers see, then answers, then the bell.
 */
import { type RaftStatus, Role } from '@ringledger/consensus'
import { IoClient } from '@ringledger/io'
import { Turn } from '@ringledger/network'
import { Doorbell, LogArena, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { CommitIndex } from './commit-index.ts'
import { LedgerCore, type LedgerCoreHooks, TICK_MS } from './ledger-core.ts'
import type { LedgerNote, LedgerOrder, LedgerWorkerData } from './ledger-notes.ts'
import { LedgerStateWriter, PeerWord, StateWord } from './ledger-state.ts'
import { RequestPort } from './request-port.ts'
import type { LedgerShared } from './shared.ts'
import { PEER_STATES, ROLES } from './state-names.ts'

/** Lines for operators that the importer has not taken; more are left out and counted. */
const MAX_UNTAKEN_NOTES = 1_024
/** How long a planned stop waits for another leader. */
const CLOSE_TRANSFER_TICKS = 40

/** Ends the IO thread where no core was made. */
export function closeStore(shared: LedgerShared): void {
  const storage = new IoClient(shared.ioPort, new LogArena(shared.arena))
  storage.close()
  storage.flush()
}

export class LedgerThread {
  readonly #data: LedgerWorkerData
  readonly #note: (note: LedgerNote) => void
  readonly #turn = new Turn()
  readonly #core: LedgerCore
  readonly #port: RequestPort
  readonly #state: LedgerStateWriter
  readonly #committed: CommitIndex
  readonly #peerIds: readonly string[]
  readonly #bell: { close(): void }
  #notesSent = 0
  #linesLeftOut = 0
  #leader = -1
  #commitMoved = false
  #transferEnded: (() => void) | undefined

  constructor(data: LedgerWorkerData, note: (note: LedgerNote) => void) {
    this.#data = data
    this.#note = note
    const { settings, shared, rings, recovered } = data
    this.#peerIds = settings.members.map(({ id }) => id).filter((id) => id !== settings.selfId)
    this.#state = new LedgerStateWriter(data.state)
    this.#core = new LedgerCore(settings, shared, recovered, this.#turn, this.#makeHooks())
    const { arena, files, replica } = this.#core
    this.#committed = new CommitIndex(arena, files, recovered)
    this.#port = new RequestPort({
      requests: new SpscRing(rings.requests),
      answers: new SpscRing(rings.answers),
      bell: new Doorbell(rings.bell),
      replica,
      leaderNumber: () => this.#leader,
      committed: this.#committed,
      syncBeforeAck: settings.syncBeforeAck,
    })
    this.#state.set(StateWord.firstIndex, recovered.tail.firstIndex)
    this.#state.set(StateWord.firstPosition, recovered.tail.firstPosition)
    this.#showStatus()
    this.#turn.onEnd(() => this.#endTurn())
    this.#bell = new Doorbell(shared.coreBell).listen(() => this.#turn.schedule())
  }

  /** Opens the port, if there are other members. @throws LedgerError PORT_BUSY, BAD_CONFIG */
  async start(): Promise<void> {
    await this.#core.start()
    this.#send({ kind: 'joined', peerPort: this.#core.peerPort })
  }

  onOrder(order: LedgerOrder): void {
    switch (order.kind) {
      case 'transfer':
        this.#core.transfer(order.targetId)
        return
      case 'trim':
        this.#trim(order.throughIndex)
        return
      case 'check':
        this.#core.check(order.position)
        return
      default:
        void this.#close()
    }
  }

  /** After a start that failed. */
  async abandonStart(): Promise<void> {
    await this.#core.close()
    this.#bell.close()
  }

  async #close(): Promise<void> {
    if (this.#core.replica.leading && this.#peerIds.length > 0) {
      const ended = new Promise<void>((resolve) => {
        this.#transferEnded = resolve
      })
      const giveUp = setTimeout(() => this.#transferEnded?.(), CLOSE_TRANSFER_TICKS * TICK_MS)
      this.#core.transfer()
      await ended
      clearTimeout(giveUp)
    }
    await this.#core.close()
    this.#bell.close()
    this.#send({ kind: 'closed' })
  }

  #endTurn(): void {
    this.#core.pollStorage()
    if (this.#port.drain()) this.#turn.schedule()
    this.#core.endTurn()
    this.#showEnds()
    this.#port.complete()
    const moved = this.#commitMoved
    this.#commitMoved = false
    this.#port.flush(moved && this.#state.wantsCommits)
  }

  #makeHooks(): LedgerCoreHooks {
    const { selfId } = this.#data.settings
    return {
      touch: () => this.#turn.schedule(),
      onTick: () => {
        const status = this.#core.replica.raft.status()
        this.#state.set(StateWord.damagedEntries, this.#core.damagedEntries)
        this.#state.set(StateWord.healing, status.healing === null ? 0 : 1)
        this.#showPeers(status)
      },
      // Who led says more to a reader of the files than nothing.
      barrier: () => Buffer.from(selfId, 'utf8'),
      patchBarrier: () => {},
      onRole: (role, term, leaderId, _barrierEnd, reason) => {
        this.#leader = this.#numberOf(leaderId)
        this.#port.onRole()
        this.#showStatus()
        this.#send({ kind: 'role', role, term, leaderId, reason })
      },
      onCommit: (position) => {
        this.#committed.advance(position)
        this.#commitMoved = true
      },
      onReadIndex: (id, position) => this.#port.onReadIndex(id, position),
      onHalted: (reason) => {
        this.#port.onHalted()
        this.#showStatus()
        this.#send({ kind: 'halted', reason })
        this.#turn.schedule()
      },
      onStorageFailed: (file, error) => this.#send({ kind: 'storageFailed', file, error }),
      onDiskFull: (full) => {
        this.#port.diskFull = full
        this.#state.set(StateWord.diskFull, full ? 1 : 0)
        this.#send({ kind: 'diskFull', full })
      },
      onTransferred: (done, reason) => {
        if (this.#transferEnded === undefined) this.#send({ kind: 'transferred', done, reason })
        else this.#transferEnded()
      },
      onTrimmed: (firstPosition, firstIndex) => {
        this.#showFirst(firstPosition, firstIndex)
        this.#send({ kind: 'trimmed', firstIndex })
      },
      onCut: (position, index) => {
        this.#committed.cut(position, index)
        this.#state.storeChanged()
      },
      onResetBegins: () => {
        this.#state.set(StateWord.resetting, 1)
        this.#state.publish()
      },
      onLogReset: (firstPosition, firstIndex) => {
        this.#state.set(StateWord.resetting, 0)
        this.#committed.reset(firstPosition, firstIndex - 1)
        this.#commitMoved = true
        this.#showFirst(firstPosition, firstIndex)
        this.#send({ kind: 'snapshotNeeded', firstIndex })
      },
      log: (level, line) => this.#log(level, line),
    }
  }

  /** The importer asks only for what it has seen as committed. */
  #trim(throughIndex: number): void {
    const { position, index } = this.#committed
    // The filler behind an entry belongs to the next one.
    const end =
      throughIndex < index ? this.#core.files.entryPositionOfIndex(throughIndex + 1) : position
    this.#core.trim(Math.max(0, end), { position, index })
  }

  #numberOf(id: string): number {
    const { members, selfId } = this.#data.settings
    if (members.length === 0) return id === selfId ? 0 : -1
    return members.findIndex((member) => member.id === id)
  }

  /** Readers are bound by what is shown here, so it comes before every answer. */
  #showEnds(): void {
    const { replica } = this.#core
    const state = this.#state
    state.set(StateWord.committedIndex, this.#committed.index)
    state.set(StateWord.committedPosition, this.#committed.position)
    state.set(StateWord.endIndex, replica.raft.lastIndex)
    state.set(StateWord.endPosition, replica.raft.endPosition)
    state.set(StateWord.serving, replica.raft.serving ? 1 : 0)
    state.publish()
  }

  #showFirst(firstPosition: number, firstIndex: number): void {
    this.#state.set(StateWord.firstIndex, firstIndex)
    this.#state.set(StateWord.firstPosition, firstPosition)
    this.#state.storeChanged()
    this.#showEnds()
  }

  #showStatus(): void {
    const status = this.#core.replica.raft.status()
    const state = this.#state
    state.set(
      StateWord.role,
      ROLES.indexOf(status.role === Role.preCandidate ? Role.candidate : status.role),
    )
    state.set(StateWord.term, status.term)
    state.set(StateWord.leader, this.#leader)
    this.#showPeers(status)
    this.#showEnds()
  }

  #showPeers(status: RaftStatus): void {
    for (const peer of status.peers) {
      const number = this.#peerIds.indexOf(peer.id)
      const state = this.#state
      state.setPeer(number, PeerWord.connected, peer.connected ? 1 : 0)
      state.setPeer(number, PeerWord.state, PEER_STATES.indexOf(peer.state))
      state.setPeer(number, PeerWord.matchPosition, peer.matchPosition)
      state.setPeer(number, PeerWord.silentMs, peer.silentTicks * TICK_MS)
    }
  }

  #log(level: 'info' | 'warn' | 'error', line: string): void {
    if (((this.#notesSent - this.#state.notesTaken) | 0) > MAX_UNTAKEN_NOTES) {
      this.#linesLeftOut += 1
      return
    }
    if (this.#linesLeftOut > 0) {
      const leftOut = `${this.#linesLeftOut} lines were left out: nobody took them`
      this.#linesLeftOut = 0
      this.#send({ kind: 'log', level: 'warn', line: leftOut })
    }
    this.#send({ kind: 'log', level, line })
  }

  #send(note: LedgerNote): void {
    this.#notesSent += 1
    this.#note(note)
  }
}
