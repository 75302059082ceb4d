import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { RemotingClient } from '@ringledger/network'
import { RequestCode } from '@ringledger/protocol'
import { useCluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { audit, auditNode, NOTHING_WRONG, queueEnds } from '../load/audit.ts'
import { flood } from '../load/flood.ts'
import { Soak } from '../load/soak.ts'

const SOME = 200
const LIMITS = { timeout: 180_000 }
/** The smallest: what a follower misses here is not in memory any more. */
const ARENA_BYTES = 16 * 1024 * 1024
const cluster = useCluster({ nodes: 3, settings: { logArenaSizeBytes: String(ARENA_BYTES) } })

function startSoak(topic: string): Soak {
  return new Soak({ nameServer: cluster().nameServer, topic })
}

async function endAndAudit(soak: Soak, context: TestContext): Promise<void> {
  const record = await soak.end()
  context.diagnostic(record.summary())
  assert.deepEqual(await audit(cluster().nameServer, record), NOTHING_WRONG)
}

async function aFollower(): Promise<string> {
  const leader = await cluster().leader()
  return cluster().ids.find((id) => id !== leader) ?? assert.fail('no follower')
}

test('every node is restarted in turn while messages are written', LIMITS, async (context) => {
  const soak = startSoak('Rolling')
  await soak.record.more(SOME)
  const leader = await cluster().leader()
  const others = cluster().ids.filter((id) => id !== leader)
  for (const id of [...others, leader]) {
    await cluster().kill(id, 'SIGTERM')
    await soak.record.more(SOME)
    await cluster().restart(id)
    await soak.record.more(SOME)
  }
  const reasons = [...soak.record.failures.keys()]
  assert.deepEqual(
    reasons.filter((reason) => reason.startsWith('code 2 ')),
    [],
    'a planned change is no overload: client 4.9 would give up',
  )
  await endAndAudit(soak, context)
})

test('a leader that is stopped answers the pulls it holds', LIMITS, async () => {
  const topic = 'Held'
  await cluster().createTopic(topic)
  const leader = await cluster().leader()
  const client = new RemotingClient({})
  await client.connect(cluster().addressOf(leader))
  const ext = { consumerGroup: 'holds', topic, queueId: '0', queueOffset: '0', maxMsgNums: '32' }
  const wait = { sysFlag: '6', commitOffset: '0', suspendTimeoutMillis: '60000', subVersion: '0' }
  const code = RequestCode.PULL_MESSAGE
  const pulls = ['0', '1', '2'].map((queueId) =>
    client.request({ code, ext: { ...ext, ...wait, queueId, subscription: '*' } }, 60_000),
  )
  // Answered behind the pulls, on the same connection.
  await client.request({ code: RequestCode.GET_BROKER_RUNTIME_INFO }, 10_000)
  await cluster().kill(leader, 'SIGTERM')
  const answers = await Promise.all(pulls)
  assert.deepEqual(
    answers.map((answer) => answer.code),
    [14, 14, 14],
  )
  client.close()
  await cluster().restart(leader)
})

test('a follower that was down reads what it missed from files', LIMITS, async (context) => {
  const soak = startSoak('CatchUp')
  await soak.record.more(SOME)
  const { nameServer } = cluster()
  const id = await aFollower()
  await cluster().kill(id, 'SIGKILL')
  const bodyBytes = 4096
  const messages = (2 * ARENA_BYTES) / bodyBytes
  const missed = await flood({ nameServer, topic: 'Missed', messages, bodyBytes })
  await cluster().restart(id)
  await soak.record.more(SOME)
  const record = await soak.end()
  context.diagnostic(record.summary())

  const leader = cluster().addressOf(await cluster().leader())
  const follower = cluster().addressOf(id)
  for (const load of [missed, record]) {
    const ends = await queueEnds(leader, load.topic)
    await eventually(
      async () => {
        const own = await queueEnds(follower, load.topic)
        return own.every((end, queueId) => end === ends[queueId]) ? true : undefined
      },
      { what: `all of ${load.topic} at ${id}` },
    )
    assert.deepEqual(await auditNode(follower, load), NOTHING_WRONG)
    assert.deepEqual(await auditNode(leader, load), NOTHING_WRONG)
  }
})

test('writes go on while the name server is replaced', LIMITS, async (context) => {
  const soak = startSoak('NameServer')
  await soak.record.more(SOME)
  const before = soak.record.failures.size
  await cluster().replaceNameServer()
  await soak.record.more(SOME)
  assert.equal(soak.record.failures.size, before)
  const leader = await cluster().leader()
  await cluster().kill(leader, 'SIGKILL')
  await soak.record.more(SOME)
  await cluster().restart(leader)
  await endAndAudit(soak, context)
})
