import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { RemotingClient } from '@ringledger/network'
import { useCluster } from '../harness/cluster.ts'
import { pullRequest } from '../harness/pull-request.ts'
import { flood } from '../load/flood.ts'
import { NO_PROC, residentBytes } from '../load/process-memory.ts'
import { Soak } from '../load/soak.ts'
import { dial, frame, header } from './raw.ts'

const LIMITS = { timeout: 120_000, skip: NO_PROC }
const MIB = 1024 * 1024
const SOME = 100
const cluster = useCluster({ nodes: 3 })

interface Watched {
  readonly address: string
  /** Ends the load beside it and asserts that nobody else felt anything. */
  end(growthLimitBytes: number): Promise<void>
}

/** The leader under a load of others, warm, so that growth is the test's own. */
async function watchLeader(context: TestContext, topic: string): Promise<Watched> {
  const { nameServer } = cluster()
  const leader = await cluster().leader()
  await flood({ nameServer, topic: 'WarmUp', messages: 20_000 })
  const soak = new Soak({ nameServer, topic })
  await soak.record.more(SOME)
  const before = residentBytes(cluster().pidOf(leader))
  const end = async (growthLimitBytes: number): Promise<void> => {
    await soak.record.more(SOME)
    const grown = residentBytes(cluster().pidOf(leader)) - before
    const record = await soak.end()
    context.diagnostic(`grown by ${Math.round(grown / MIB)} MiB; ${record.summary()}`)
    assert.deepEqual([...record.failures], [])
    assert.ok(grown < growthLimitBytes, `grown by ${grown} bytes`)
    assert.equal(await cluster().leader(), leader)
  }
  return { address: cluster().addressOf(leader), end }
}

test('a thousand idle connections cost little', LIMITS, async (context) => {
  const leader = await watchLeader(context, 'Idle')
  const clients = Array.from({ length: 1000 }, () => new RemotingClient())
  await Promise.all(clients.map((client) => client.connect(leader.address)))
  await Promise.all(clients.map((client) => client.request({ code: 31_999 }, 60_000)))
  await leader.end(64 * MIB)
  await Promise.all(clients.map((client) => client.close()))
})

test('frames that are announced and never sent cost little', LIMITS, async (context) => {
  const leader = await watchLeader(context, 'HalfFrames')
  const announced = Buffer.alloc(1024)
  announced.writeInt32BE(16 * MIB, 0)
  announced.writeUIntBE(100, 5, 3)
  const sockets = await Promise.all(Array.from({ length: 500 }, () => dial(leader.address)))
  for (const socket of sockets) socket.write(announced)
  await leader.end(64 * MIB)
  for (const socket of sockets) socket.destroy()
})

test('a client that never reads its answers stops itself only', LIMITS, async (context) => {
  const leader = await watchLeader(context, 'Unread')
  const place = { group: 'greedy', topic: 'WarmUp', queueId: 0, queueOffset: 0, maxMessages: 32 }
  const { code, ext } = pullRequest(place)
  const pull = frame(header(code, ext))
  const socket = await dial(leader.address)
  socket.pause()
  const hundred = Buffer.concat(Array.from({ length: 100 }, () => pull))
  // Until the broker takes no more requests or has closed: what is unsent stays with us.
  const refused = once(socket, 'close').then(() => true)
  while (socket.write(hundred)) {
    const written = new Promise<boolean>((resolve) => socket.write('', () => resolve(false)))
    if (await Promise.race([refused, written])) break
  }
  await leader.end(128 * MIB)
  socket.destroy()
})
