/**
 * A replicated register (a map of keys to values) on three members in one process, as in DLedger's
 * own example: writes go through the log, reads are linearizable, and both survive the loss of the
 * leader. `node register.ts --help`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { AppendError, type Ledger, type LedgerMember, openLedger } from '@ringledger/engine'

/** One member's copy of the register, built from its committed log. */
class Register {
  readonly ledger: Ledger
  readonly #values = new Map<string, string>()
  #appliedIndex = -1
  #applying: Promise<void> = Promise.resolve()

  constructor(ledger: Ledger) {
    this.ledger = ledger
  }

  /** On the leader. Resolves when the write is on the disks of a majority. */
  async write(key: string, value: string): Promise<void> {
    await this.ledger.append(Buffer.from(JSON.stringify({ key, value })))
  }

  /** On the leader: sees every write that was acknowledged anywhere before the call. */
  async read(key: string): Promise<string | undefined> {
    const end = await this.ledger.readIndex()
    await this.#applyUntil(end.index)
    return this.#values.get(key)
  }

  /** On any member: what it knows is committed, which may be old. */
  async readHere(key: string): Promise<string | undefined> {
    await this.#applyUntil(this.ledger.status().committed.index)
    return this.#values.get(key)
  }

  /** One run at a time, so that every entry is applied once and in order. */
  #applyUntil(index: number): Promise<void> {
    this.#applying = this.#applying.then(async () => {
      const from = { index: this.#appliedIndex + 1 }
      for await (const entry of this.ledger.read(from, { untilIndex: index })) {
        const { key, value } = JSON.parse(Buffer.from(entry.body).toString('utf8'))
        this.#values.set(key, value)
        this.#appliedIndex = entry.index
      }
      this.#appliedIndex = Math.max(this.#appliedIndex, index)
    })
    return this.#applying
  }
}

const { values } = parseArgs({ options: { help: { type: 'boolean', short: 'h' } } })
if (values.help) {
  console.log(`Usage: node register.ts

Three members in one process: writes and linearizable reads, a planned change of leader, and the
loss of a leader. Files are in a temporary directory that is removed at the end.`)
} else {
  const directory = mkdtempSync(join(tmpdir(), 'register-'))
  try {
    await run(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function run(directory: string): Promise<void> {
  const members = await localMembers(3)
  const registers = await Promise.all(
    members.map(async ({ id }) => {
      return new Register(await openLedger({ directory: join(directory, id), selfId: id, members }))
    }),
  )
  const first = await leaderOf(registers)
  console.log(`${nameOf(first)} leads`)
  await first.write('colour', 'blue')
  console.log(`written there: colour = blue, read there: ${await first.read('colour')}`)

  await first.ledger.transferLeadership()
  const second = await leaderOf(registers)
  console.log(`after a planned transfer ${nameOf(second)} leads`)
  console.log(`read there: colour = ${await second.read('colour')}`)
  await second.write('colour', 'green')
  try {
    await first.write('colour', 'red')
  } catch (error) {
    if (!(error instanceof AppendError)) throw error
    console.log(`a write at ${nameOf(first)}: ${error.code}, the leader is ${error.leaderId}`)
  }

  await second.ledger.close()
  const left = registers.filter((register) => register !== second)
  const third = await leaderOf(left)
  console.log(`${nameOf(second)} is gone, ${nameOf(third)} leads: ${await third.read('colour')}`)
  await third.write('shape', 'ring')
  for (const register of left) {
    console.log(`${nameOf(register)} knows here: shape = ${await register.readHere('shape')}`)
  }
  await Promise.all(left.map((register) => register.ledger.close()))
}

function nameOf(register: Register): string {
  return register.ledger.status().selfId
}

/** Waits until all of them follow one leader, and returns its register. */
async function leaderOf(registers: readonly Register[]): Promise<Register> {
  for (;;) {
    const ids = await Promise.all(registers.map(({ ledger }) => ledger.waitForLeader()))
    const leader = registers.find((register) => register.ledger.status().role === 'leader')
    if (leader !== undefined && ids.every((id) => id === nameOf(leader))) return leader
    await new Promise<void>((resolve) => {
      const stops = registers.map(({ ledger }) => ledger.subscribe({ onRole: () => done() }))
      const done = (): void => {
        for (const stop of stops) stop()
        resolve()
      }
    })
  }
}

/** Members on ports that are free now. */
async function localMembers(count: number): Promise<LedgerMember[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => new Promise((done) => server.once('listening', done))))
  const members = servers.map((server, at) => {
    return { id: `n${at}`, host: '127.0.0.1', port: (server.address() as { port: number }).port }
  })
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return members
}
