/**
 * The interpreter of the text scripts in `testdata`: a small group under full manual control, whose
 * every message and effect is written down.
 *
 * Commands, one a line; several in one block are traced together:
 *   group 3 [leader=n1] [hold] [preferred=n2] [batch=400] [inflight=1600]
 *                             nodes n0..n2, links up, disks syncing by themselves unless `hold`;
 *                             comes after `log` and `saved` lines
 *   log n1 1 1 3              its disk holds entries of these terms (100 bytes each)
 *   saved n1 3 [n2]           its saved term and vote
 *   tick n0 5 | tick all 5    ticks, one at a time, all messages delivered after each
 *   silence n0 5              ticks one node without delivering anything
 *   wake n0                   ticks one node until it speaks or changes its role
 *   run | deliver 2           delivers until nothing is on the wire | the oldest letters
 *   drop [type] [n0>n1]       drops what is on the wire (of that kind)
 *   append n0 3 [size]        lays entries, sends them
 *   sync n0 [count]           does held disk work
 *   hold n0 | release n0      from now on its disk waits | syncs by itself
 *   cut n0 | heal             the network loses all from and to n0 | no more
 *   stop n0 | continue n0     SIGSTOP: sockets and state stay | runs on, reads what came meanwhile
 *   close n0 n1 | connect     the link between two nodes closes, for good | comes back
 *   crash n0 | restart n0     loses what is not synced; its links close | starts anew
 *   wipe n0                   its log files are deleted (its saved term is not)
 *   damage n0 2               entry 2 on its disk cannot be read, as its next start notices
 *   lose n0 2                 its disk loses entries from 2 on, and a note about that stays there
 *   trim n0 3                 retention drops its entries below 3
 *   mend n0                   the damaged entry is replaced by a peer's
 *   transfer n0 n1 | read n0 7 | fail n0     as the local messages
 *   full n0 | space n0         its disk has no space | has some again
 *   status | logs             a line per node
 */
import { assert, seededRandom } from '@ringledger/base'
import { FakeDriver, type FakeEntry, type Letter, logOfTerms } from './driver-fake.ts'
import type { Effects } from './effects.ts'
import { describeMessage } from './message-text.ts'
import type { HardState } from './messages.ts'

/** More deliveries than any scenario needs: the nodes talk in circles. */
const MAX_DELIVERIES = 500
const MAX_WAKE_TICKS = 100

export class Interaction {
  readonly #lines: string[] = []
  readonly #nodes = new Map<string, FakeDriver>()
  readonly #logs = new Map<string, FakeEntry[]>()
  readonly #saved = new Map<string, HardState>()
  readonly #holding = new Set<string>()
  readonly #cut = new Set<string>()
  readonly #stopped = new Set<string>()
  readonly #closed = new Set<string>()
  #wire: Letter[] = []
  #spoke = false

  /** Runs the lines of one block; returns its trace. */
  run(block: readonly string[]): string[] {
    this.#lines.length = 0
    for (const line of block) {
      const words = line.split(' ').filter((word) => word !== '')
      this.#command(words[0] ?? '', words.slice(1))
    }
    return this.#lines.length === 0 ? ['(nothing)'] : [...this.#lines]
  }

  #command(name: string, words: readonly string[]): void {
    const first = words[0] ?? ''
    if (this.#setUp(name, words)) return
    if (this.#trouble(name, words)) return
    if (name === 'tick') this.#tickAll(first, Number(words[1]))
    else if (name === 'silence') this.#silence(first, Number(words[1]))
    else if (name === 'wake') this.#wake(this.#node(first))
    else if (name === 'run') this.#deliver(MAX_DELIVERIES)
    else if (name === 'deliver') this.#deliver(Number(first))
    else if (name === 'append') this.#append(first, Number(words[1]), Number(words[2] ?? 100))
    else if (name === 'sync') this.#sync(first, Number(words[1] ?? 100))
    else if (name === 'transfer') this.#local(first, { type: 'transfer', target: words[1] ?? '' })
    else if (name === 'read') this.#local(first, { type: 'readIndex', id: Number(words[1]) })
    else if (name === 'fail') this.#local(first, { type: 'storageFailed', reason: 'disk failed' })
    else if (name === 'full') this.#local(first, { type: 'diskFull', full: true })
    else if (name === 'space') this.#local(first, { type: 'diskFull', full: false })
    else if (name === 'status') for (const node of this.#nodes.values()) this.#status(node)
    else if (name === 'logs') for (const node of this.#nodes.values()) this.#logLine(node)
    else assert(false, `no such command: ${name}`)
  }

  #setUp(name: string, words: readonly string[]): boolean {
    const [id = '', ...rest] = words
    if (name === 'log') this.#logs.set(id, logOfTerms(rest.map(Number)))
    else if (name === 'saved') {
      this.#saved.set(id, { term: Number(rest[0]), votedFor: rest[1] ?? null })
    } else if (name === 'group') this.#group(Number(id), rest)
    else return false
    return true
  }

  #group(size: number, words: readonly string[]): void {
    const options = new Map(words.map((word) => word.split('=') as [string, string]))
    const ids = Array.from({ length: size }, (_, at) => `n${at}`)
    const preferredLeaderId = options.get('preferred')
    const batch = Number(options.get('batch') ?? 1000)
    for (const selfId of ids) {
      if (options.has('hold')) this.#holding.add(selfId)
      const driver = new FakeDriver(
        {
          selfId,
          peerIds: ids.filter((id) => id !== selfId),
          random: seededRandom(selfId.charCodeAt(1)),
          ...(preferredLeaderId === undefined ? {} : { preferredLeaderId }),
          maxBatchBytes: batch,
          maxInflightBytes: Number(options.get('inflight') ?? 4 * batch),
          onEffects: (node, effects) => this.#trace(node, effects),
        },
        this.#logs.get(selfId) ?? [],
        this.#saved.get(selfId),
      )
      this.#nodes.set(selfId, driver)
    }
    for (const node of this.#nodes.values()) {
      for (const id of node.options.peerIds) node.connected(id)
    }
    const leader = options.get('leader')
    if (leader !== undefined) this.#electSilently(leader)
  }

  #electSilently(id: string): void {
    this.#wake(this.#node(id))
    this.#deliver(MAX_DELIVERIES)
    assert(this.#node(id).raft.serving, `${id} did not win`)
    this.#lines.length = 0
  }

  #trouble(name: string, words: readonly string[]): boolean {
    const [first = '', second = ''] = words
    if (name === 'hold') this.#holding.add(first)
    else if (name === 'release') this.#release(first)
    else if (name === 'cut') this.#cut.add(first)
    else if (name === 'heal') this.#cut.clear()
    else if (name === 'stop') this.#stopped.add(first)
    else if (name === 'continue') this.#stopped.delete(first)
    else if (name === 'close') this.#close(first, second)
    else if (name === 'connect') this.#connect(first, second)
    else if (name === 'crash') this.#crash(this.#node(first))
    else if (name === 'restart') this.#restart(this.#node(first))
    else if (name === 'wipe') this.#node(first).disk = []
    else if (name === 'damage') this.#damage(this.#node(first), Number(second))
    else if (name === 'lose') this.#lose(this.#node(first), Number(second))
    else if (name === 'trim') this.#node(first).trim(Number(second))
    else if (name === 'mend') this.#mend(this.#node(first))
    else if (name === 'drop') this.#drop(words)
    else return false
    return true
  }

  #node(id: string): FakeDriver {
    const node = this.#nodes.get(id)
    assert(node !== undefined, `no such node: ${id}`)
    return node
  }

  #runs(node: FakeDriver): boolean {
    return node.alive && !this.#stopped.has(node.id)
  }

  #local(id: string, message: Parameters<FakeDriver['raft']['step']>[0]): void {
    const node = this.#node(id)
    node.raft.step(message)
    node.act()
    this.#turnEnds(node)
  }

  #tickAll(who: string, times: number): void {
    for (let at = 0; at < times; at++) {
      for (const node of this.#nodes.values()) {
        if (!this.#runs(node) || (who !== 'all' && who !== node.id)) continue
        node.tick()
        this.#turnEnds(node)
      }
      this.#deliver(MAX_DELIVERIES)
    }
  }

  #silence(id: string, times: number): void {
    const node = this.#node(id)
    for (let at = 0; at < times; at++) node.tick()
    this.#turnEnds(node)
  }

  #wake(node: FakeDriver): void {
    this.#spoke = false
    for (let ticks = 1; !this.#spoke; ticks++) {
      assert(ticks < MAX_WAKE_TICKS, `${node.id} sleeps`)
      node.tick()
    }
    this.#turnEnds(node)
  }

  #append(id: string, count: number, sizeBytes: number): void {
    const node = this.#node(id)
    if (!node.raft.acceptsAppends) {
      this.#lines.push(`${id} refuses appends`)
      return
    }
    for (let at = 0; at < count; at++) {
      node.append(`${id} ${node.raft.term} ${node.raft.lastIndex + 1}`, sizeBytes)
    }
    this.#turnEnds(node)
  }

  #sync(id: string, count: number): void {
    const node = this.#node(id)
    for (let at = 0; at < count && node.sync(); at++);
    this.#turnEnds(node)
  }

  #release(id: string): void {
    this.#holding.delete(id)
    this.#turnEnds(this.#node(id))
  }

  /** Disk work gets done unless held, and letters go on the wire. */
  #turnEnds(node: FakeDriver): void {
    if (!node.alive) return
    node.flush()
    while (!this.#holding.has(node.id) && node.sync()) node.flush()
    this.#wire.push(...node.outbox)
    node.outbox = []
  }

  #deliver(limit: number): void {
    let delivered = 0
    while (delivered < limit) {
      const at = this.#wire.findIndex((letter) => !this.#stopped.has(letter.message.to))
      if (at < 0) return
      const letter = this.#wire[at] as Letter
      this.#wire.splice(at, 1)
      delivered++
      this.#receive(letter)
    }
    assert(limit < MAX_DELIVERIES, 'the nodes talk in circles')
  }

  #receive(letter: Letter): void {
    const { from, to } = letter.message
    const target = this.#node(to)
    const lost =
      !target.alive || this.#cut.has(from) || this.#cut.has(to) || this.#closed.has(pair(from, to))
    this.#lines.push(`${describeLetter(letter)}${lost ? '   lost' : ''}`)
    if (lost) return
    target.receive(letter)
    this.#turnEnds(target)
  }

  #damage(node: FakeDriver, index: number): void {
    node.damagedAt = node.disk[index]?.position ?? -1
    assert(node.damagedAt >= 0, 'a damaged entry was there')
  }

  #lose(node: FakeDriver, index: number): void {
    const untilPosition = node.disk.at(-1)?.end ?? 0
    node.disk = node.disk.slice(0, index)
    node.lost = { untilPosition, term: node.savedHardState.term }
  }

  #mend(node: FakeDriver): void {
    node.mend()
    this.#turnEnds(node)
  }

  #drop(words: readonly string[]): void {
    const type = words.find((word) => !word.includes('>'))
    const link = words.find((word) => word.includes('>'))
    this.#wire = this.#wire.filter(({ message }) => {
      if (type !== undefined && message.type !== type) return true
      return link !== undefined && link !== `${message.from}>${message.to}`
    })
  }

  #close(left: string, right: string): void {
    this.#closed.add(pair(left, right))
    this.#wire = this.#wire.filter(
      ({ message }) => pair(message.from, message.to) !== pair(left, right),
    )
    for (const [id, other] of [
      [left, right],
      [right, left],
    ] as const) {
      const node = this.#node(id)
      if (!node.alive) continue
      node.disconnected(other)
      this.#turnEnds(node)
    }
  }

  #connect(left: string, right: string): void {
    this.#closed.delete(pair(left, right))
    for (const [id, other] of [
      [left, right],
      [right, left],
    ] as const) {
      const node = this.#node(id)
      if (!node.alive) continue
      node.connected(other)
      this.#turnEnds(node)
    }
  }

  #crash(node: FakeDriver): void {
    node.crash()
    this.#lines.push(`${node.id} crashes: disk ends at ${node.disk.at(-1)?.end ?? 0}`)
    for (const id of node.options.peerIds) this.#close(node.id, id)
  }

  #restart(node: FakeDriver): void {
    node.restart()
    const { term, votedFor } = node.savedHardState
    this.#lines.push(`${node.id} restarts: saved term=${term} vote=${votedFor ?? '-'}`)
    for (const id of node.options.peerIds) if (this.#node(id).alive) this.#connect(node.id, id)
  }

  #trace(node: FakeDriver, effects: Effects): void {
    const say = (text: string): void => {
      this.#lines.push(`  ${node.id} ${text}`)
    }
    if (effects.send.length > 0 || effects.roleChange !== undefined) this.#spoke = true
    const { halted, truncate, accept, persist, roleChange, commitPosition } = effects
    if (halted !== undefined) say(`halted: ${halted}`)
    if (truncate !== undefined) say(`truncates at ${truncate.position}`)
    if (effects.reset !== undefined) {
      const { position, index, untilPosition } = effects.reset
      say(`begins its log anew at ${index}@${position}, lost up to ${untilPosition}`)
    }
    if (accept !== undefined) say(`accepts ${accept.fromPosition}..${accept.toPosition}`)
    if (persist !== undefined) say(`saves term=${persist.term} vote=${persist.votedFor ?? '-'}`)
    if (roleChange !== undefined) {
      const { role, term, leaderId, reason } = roleChange
      say(`${role} term=${term} leader=${leaderId ?? '-'} (${reason})`)
    }
    if (commitPosition !== undefined) say(`commits ${commitPosition}`)
    for (const read of effects.reads) {
      say(read.position < 0 ? `refuses read ${read.id}` : `read ${read.id} at ${read.position}`)
    }
    if (effects.healed === true) say('is healed')
    if (effects.transferEnded !== undefined) {
      const { target, done, reason } = effects.transferEnded
      say(`transfer to ${target} ${done ? 'done' : 'failed'} (${reason})`)
    }
  }

  #status(node: FakeDriver): void {
    const status = node.raft.status()
    const { role, term, leaderId, commitPosition, durablePosition, endPosition } = status
    const state = `${node.alive ? role : 'dead'}${status.diskFull ? '/full' : ''}`
    const head = `${node.id} ${state} term=${term} leader=${leaderId ?? '-'}`
    const ends = `commit=${commitPosition} durable=${durablePosition} end=${endPosition}`
    const peers = status.peers.map((peer) => {
      const { id, connected, matchPosition, nextPosition } = peer
      const link = `${peer.state}${connected ? '' : '/off'}${peer.diskFull ? '/full' : ''}`
      return ` ${id}:${link} match=${matchPosition} next=${nextPosition}`
    })
    this.#lines.push(`${head} ${ends}${peers.join('')}`)
  }

  #logLine(node: FakeDriver): void {
    const terms = node.log.map((entry) => entry.term).join(' ')
    this.#lines.push(`${node.id} [${terms}] disk ends at ${node.disk.at(-1)?.end ?? 0}`)
  }
}

function pair(left: string, right: string): string {
  return left < right ? `${left}-${right}` : `${right}-${left}`
}

/** A letter as one line. */
function describeLetter({ message, entries }: Letter): string {
  const bytes = entries.length === 0 ? '' : ` entries=${entries.map((e) => e.term).join(',')}`
  return `${message.from}>${message.to} ${describeMessage(message)}${bytes}`
}
