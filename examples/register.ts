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
import {
  AppendError,
  type ErrorCode,
  type Ledger,
  LedgerError,
  type LedgerMember,
  openLedger,
} from '@ringledger/engine'

/** Another member leads, or will in a moment. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set([
  'NOT_LEADER',
  'HANDING_OVER',
  'LEADERSHIP_LOST',
  'TIMEOUT',
])

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
  await atLeader(registers, async (leader) => {
    await leader.write('colour', 'blue')
    console.log(`${nameOf(leader)} leads: wrote blue, read ${await leader.read('colour')}`)
  })

  await atLeader(registers, (leader) => leader.ledger.transferLeadership())
  await atLeader(registers, async (leader) => {
    console.log(`${nameOf(leader)} leads after a transfer: read ${await leader.read('colour')}`)
    await leader.write('colour', 'green')
  })

  const leader = await leaderOf(registers)
  for (const register of registers) {
    if (register === leader) continue
    try {
      await register.write('colour', 'red')
    } catch (error) {
      if (!(error instanceof AppendError)) throw error
      console.log(`a write at ${nameOf(register)}: ${error.code}, ask ${error.leaderId}`)
    }
  }

  await leader.ledger.close()
  const left = registers.filter((register) => register !== leader)
  await atLeader(left, async (next) => {
    console.log(`${nameOf(leader)} is gone, ${nameOf(next)} leads: ${await next.read('colour')}`)
    await next.write('shape', 'ring')
    // What the others know here may be old; all of them get there.
    console.log(`${nameOf(next)} knows: shape = ${await next.readHere('shape')}`)
  })
  await Promise.all(left.map((register) => register.ledger.close()))
}

function nameOf(register: Register): string {
  return register.ledger.status().selfId
}

/** The register of the leader, once all of them follow it. */
function leaderOf(registers: readonly Register[]): Promise<Register> {
  return new Promise((resolve) => {
    const look = (): void => {
      const views = registers.map(({ ledger }) => ledger.status())
      const at = views.findIndex(({ role }) => role === 'leader')
      if (
        !views.every(({ leaderId }) => leaderId !== undefined && leaderId === views[at]?.selfId)
      ) {
        return
      }
      for (const stop of stops) stop()
      resolve(registers[at] as Register)
    }
    const stops = registers.map(({ ledger }) => ledger.subscribe({ onRole: look }))
    look()
  })
}

/**
 * Leadership can move at any time, so a call that needs the leader is made again with the next one.
 * That is right for a register, where writing the same value twice is writing it once; a program
 * for which it is not looks at `mayCommit` first.
 */
async function atLeader<Value>(
  registers: readonly Register[],
  call: (leader: Register) => Promise<Value>,
): Promise<Value> {
  for (;;) {
    try {
      return await call(await leaderOf(registers))
    } catch (error) {
      if (!(error instanceof LedgerError) || !RETRYABLE.has(error.code)) throw error
    }
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
