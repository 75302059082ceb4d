/**
 * Appends to a ledger of this process, a fixed number unanswered: no broker, no client protocol.
 */
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Ledger, type LedgerMember, openLedger } from '@ringledger/engine'
import { LatencyRecorder, type LatencySummary } from './latency.ts'

export interface AppendResult {
  readonly appendedPerSecond: number
  readonly latency: LatencySummary
  /** Of all threads of this process: of every member and of the load. */
  readonly processorPerAppendUs: number
}

/** A group of members in one process, with its leader. */
export interface LocalGroup {
  readonly leader: Ledger
  close(): Promise<void>
}

/** Resolves when one leads. `directory` gets a directory for each. */
export async function openGroup(
  directory: string,
  count: number,
  durability: 'sync' | 'memory',
): Promise<LocalGroup> {
  const members = count > 1 ? await localMembers(count) : []
  const ledgers = await Promise.all(
    Array.from({ length: count }, (_, at) => {
      const selfId = `n${at}`
      return openLedger({ directory: join(directory, selfId), selfId, members, durability })
    }),
  )
  const close = async (): Promise<void> => {
    await Promise.all(ledgers.map((ledger) => ledger.close()))
  }
  try {
    const ids = await Promise.all(ledgers.map((ledger) => ledger.waitForLeader()))
    const leader = ledgers.find((ledger) => ledger.status().selfId === ids[0])
    if (leader === undefined) throw new Error('there is no leader')
    await leader.readIndex()
    return { leader, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** A closed loop. @throws AppendError when one is refused. */
export async function appendLoad(
  leader: Ledger,
  body: Buffer,
  inFlight: number,
  seconds: number,
): Promise<AppendResult> {
  const latency = new LatencyRecorder()
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  const endMs = startedMs + seconds * 1000
  const lane = async (): Promise<void> => {
    for (let atMs = performance.now(); atMs < endMs; ) {
      await leader.append(body)
      const nowMs = performance.now()
      latency.record(atMs, nowMs)
      atMs = nowMs
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  const took = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    appendedPerSecond: latency.count / took,
    latency: latency.summary(),
    processorPerAppendUs: (user + system) / latency.count,
  }
}

/** Reads everything from the first entry on. */
export async function readAll(leader: Ledger): Promise<{ entries: number; seconds: number }> {
  const startedMs = performance.now()
  let entries = 0
  for await (const _ of leader.read({ index: 0 })) entries++
  return { entries, seconds: (performance.now() - startedMs) / 1000 }
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
