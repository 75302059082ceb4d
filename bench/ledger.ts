/**
 * Appends through `openLedger` with a fixed number in flight, all members in this process:
 * `node bench/ledger.ts --members 3`. Prints acknowledged appends per second and their latency.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Ledger, type LedgerMember, openLedger } from '@ringledger/engine'
import { build } from 'hdr-histogram-js'

const { values } = parseArgs({
  options: {
    members: { type: 'string', default: '1' },
    'in-flight': { type: 'string', default: '256' },
    bytes: { type: 'string', default: '1024' },
    seconds: { type: 'string', default: '5' },
    durability: { type: 'string', default: 'sync' },
    directory: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  console.log(`Usage: node bench/ledger.ts [--members 1] [--in-flight 256] [--bytes 1024]
       [--seconds 5] [--durability sync|memory] [--directory <where the logs lie meanwhile>]`)
} else {
  const directory = mkdtempSync(join(values.directory, 'ringledger-bench-'))
  try {
    await measure(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function measure(directory: string): Promise<void> {
  const ledgers = await openAll(directory, Number(values.members))
  const leader = await leaderOf(ledgers)
  const body = Buffer.alloc(Number(values.bytes), 7)
  await load(leader, body, 1)
  const cpuBefore = process.cpuUsage()
  const { count, seconds, latency } = await load(leader, body, Number(values.seconds))
  const cpu = process.cpuUsage(cpuBefore)
  const perAppend = (cpu.user + cpu.system) / count
  console.log(
    `${ledgers.length} members, ${values['in-flight']} in flight, ${body.length} bytes, ` +
      `${values.durability}: ${Math.round(count / seconds)} appends/s, ` +
      `p50 ${latency(50)} ms, p99 ${latency(99)} ms, ${perAppend.toFixed(1)} µs CPU an append`,
  )
  const started = performance.now()
  let read = 0
  for await (const _ of leader.read({ index: 0 })) read += 1
  const perSecond = Math.round((read / (performance.now() - started)) * 1_000)
  console.log(`read back: ${read} entries, ${perSecond} a second`)
  await Promise.all(ledgers.map((ledger) => ledger.close()))
}

interface Result {
  readonly count: number
  readonly seconds: number
  latency(percentile: number): string
}

async function load(leader: Ledger, body: Buffer, seconds: number): Promise<Result> {
  const histogram = build({ numberOfSignificantValueDigits: 3 })
  const started = performance.now()
  const end = started + seconds * 1_000
  let count = 0
  const one = async (): Promise<void> => {
    for (let at = performance.now(); at < end; ) {
      await leader.append(body)
      const now = performance.now()
      histogram.recordValue(Math.round((now - at) * 1_000))
      at = now
      count += 1
    }
  }
  await Promise.all(Array.from({ length: Number(values['in-flight']) }, one))
  return {
    count,
    seconds: (performance.now() - started) / 1_000,
    latency: (percentile) => (histogram.getValueAtPercentile(percentile) / 1_000).toFixed(2),
  }
}

async function openAll(directory: string, count: number): Promise<Ledger[]> {
  const members = count > 1 ? await localMembers(count) : []
  const durability = values.durability === 'memory' ? 'memory' : 'sync'
  return Promise.all(
    Array.from({ length: count }, (_, at) => {
      const selfId = `n${at}`
      return openLedger({ directory: join(directory, selfId), selfId, members, durability })
    }),
  )
}

async function leaderOf(ledgers: readonly Ledger[]): Promise<Ledger> {
  const ids = await Promise.all(ledgers.map((ledger) => ledger.waitForLeader()))
  const leader = ledgers.find((ledger) => ledger.status().selfId === ids[0])
  if (leader === undefined) throw new Error('there is no leader')
  await leader.readIndex()
  return leader
}

async function localMembers(count: number): Promise<LedgerMember[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => new Promise((done) => server.once('listening', done))))
  const members = servers.map((server, at) => {
    return { id: `n${at}`, host: '127.0.0.1', port: (server.address() as { port: number }).port }
  })
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return members
}
