/**
 * Faults in an order that a seed decides, under more load than the tests of single faults. The seed
 * is printed; RINGLEDGER_CHAOS_SEED repeats it, RINGLEDGER_CHAOS_ROUNDS makes it longer.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { type Random, seededRandom } from '@ringledger/base'
import { useCluster } from '../harness/cluster.ts'
import { audit, NOTHING_WRONG } from '../load/audit.ts'
import { Soak } from '../load/soak.ts'

const SEED = Number(process.env.RINGLEDGER_CHAOS_SEED ?? randomInt(2 ** 31))
const ROUNDS = Number(process.env.RINGLEDGER_CHAOS_ROUNDS ?? 6)
const ROUND_LIMIT_MS = 60_000
const SOME = 500
const cluster = useCluster({ nodes: 3 })

type Fault = (soak: Soak, random: Random) => Promise<string>

async function restartAll(ids: readonly string[]): Promise<void> {
  await Promise.all(ids.map((id) => cluster().restart(id)))
}

function oneOf<Value>(values: readonly Value[], random: Random): Value {
  const value = values[Math.floor(random() * values.length)]
  assert.ok(value !== undefined)
  return value
}

/** kill -9 of so many nodes at once; with a majority left, the others go on meanwhile. */
function killed(count: number): Fault {
  return async (soak, random) => {
    const order = [...cluster().ids].sort(() => random() - 0.5)
    const ids = order.slice(0, count)
    await Promise.all(ids.map((id) => cluster().kill(id, 'SIGKILL')))
    if (count === 1) await soak.record.more(SOME)
    await restartAll(ids)
    return `kill -9 of ${ids}`
  }
}

async function leaderKilled(soak: Soak): Promise<string> {
  const leader = await cluster().leader()
  await cluster().kill(leader, 'SIGKILL')
  await soak.record.more(SOME)
  await restartAll([leader])
  return `kill -9 of the leader ${leader}`
}

async function ended(soak: Soak, random: Random): Promise<string> {
  const id = oneOf(cluster().ids, random)
  await cluster().kill(id, 'SIGTERM')
  await soak.record.more(SOME)
  await restartAll([id])
  return `end of ${id}`
}

async function stopped(soak: Soak, random: Random): Promise<string> {
  const id = oneOf(cluster().ids, random)
  await cluster().kill(id, 'SIGSTOP')
  await soak.record.more(SOME)
  await cluster().kill(id, 'SIGCONT')
  await cluster().whole()
  return `standstill of ${id}`
}

/** A new leader is gone before it is settled. */
async function leadersInTurn(soak: Soak): Promise<string> {
  const first = await cluster().leader()
  await cluster().kill(first, 'SIGSTOP')
  const second = await cluster().leader()
  await cluster().kill(second, 'SIGKILL')
  await cluster().kill(first, 'SIGCONT')
  await soak.record.more(SOME)
  await restartAll([second])
  return `standstill of ${first}, then kill -9 of ${second}`
}

const FAULTS: readonly Fault[] = [
  killed(1),
  killed(2),
  killed(3),
  leaderKilled,
  ended,
  stopped,
  leadersInTurn,
]

test('faults in any order lose nothing', {
  timeout: ROUNDS * ROUND_LIMIT_MS,
}, async (context) => {
  context.diagnostic(`RINGLEDGER_CHAOS_SEED=${SEED}`)
  const random = seededRandom(SEED)
  const { nameServer } = cluster()
  const soak = new Soak({ nameServer, topic: 'Nemesis', senders: 64, paceMs: 2 })
  for (let round = 0; round < ROUNDS; round++) {
    await soak.record.more(SOME)
    context.diagnostic(await oneOf(FAULTS, random)(soak, random))
  }
  await soak.record.more(SOME)
  const record = await soak.end()
  context.diagnostic(record.summary())
  assert.deepEqual(await audit(nameServer, record), NOTHING_WRONG)
})
