import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { RemotingClient } from '@ringledger/network'
import { ResponseCode } from '@ringledger/protocol'
import { useCluster } from '../harness/cluster.ts'
import { audit, NOTHING_WRONG } from '../load/audit.ts'
import { loadBody, newRun, sendRequest } from '../load/load-message.ts'
import { Soak } from '../load/soak.ts'

/** Acknowledgements that show a group at work, and those that pass while a test looks on. */
const SOME = 200
const ANSWER_LIMIT_MS = 60_000
const LIMITS = { timeout: 180_000 }
const cluster = useCluster({ nodes: 3 })

function startSoak(topic: string): Soak {
  return new Soak({ nameServer: cluster().nameServer, topic })
}

async function endAndAudit(soak: Soak, context: TestContext): Promise<void> {
  const record = await soak.end()
  context.diagnostic(record.summary())
  assert.deepEqual(await audit(cluster().nameServer, record), NOTHING_WRONG)
}

/** Codes of the answers to sends on one connection, whoever leads. */
async function sendSome(client: RemotingClient, topic: string): Promise<number[]> {
  const answers = Array.from({ length: SOME }, (_, sequence) => {
    const body = loadBody(newRun(), sequence, 256)
    return client.request(sendRequest(topic, sequence % 4, body), ANSWER_LIMIT_MS)
  })
  return (await Promise.all(answers)).map(({ code }) => code)
}

test('kill -9 of the leader, and of the next one, loses nothing', LIMITS, async (context) => {
  const soak = startSoak('KillLeader')
  for (let round = 0; round < 2; round++) {
    await soak.record.more(SOME)
    const leader = await cluster().leader()
    await cluster().kill(leader, 'SIGKILL')
    await soak.record.more(SOME)
    await cluster().restart(leader)
  }
  await soak.record.more(SOME)
  await endAndAudit(soak, context)
})

test('a leader that stood still acknowledges nothing any more', LIMITS, async (context) => {
  const soak = startSoak('StopLeader')
  await soak.record.more(SOME)
  const leader = await cluster().leader()
  const loyal = new RemotingClient()
  await loyal.connect(cluster().addressOf(leader))
  await cluster().kill(leader, 'SIGSTOP')
  await soak.record.more(SOME)
  const answers = sendSome(loyal, 'StopLeader')
  // Another term's writes are acknowledged now; the stopped leader still finds these in its socket.
  await soak.record.more(SOME)
  await cluster().kill(leader, 'SIGCONT')
  const codes = await answers
  assert.ok(!codes.includes(ResponseCode.SUCCESS), `answered ${codes}`)
  await cluster().whole()
  await loyal.close()
  await soak.record.more(SOME)
  await endAndAudit(soak, context)
})

test(
  'a leader without a majority refuses, and goes on when it is back',
  LIMITS,
  async (context) => {
    const soak = startSoak('Minority')
    await soak.record.more(SOME)
    const leader = await cluster().leader()
    const others = cluster().ids.filter((id) => id !== leader)
    await Promise.all(others.map((id) => cluster().kill(id, 'SIGKILL')))
    const client = new RemotingClient()
    await client.connect(cluster().addressOf(leader))
    const codes = await sendSome(client, 'Minority')
    assert.ok(!codes.includes(ResponseCode.SUCCESS), `answered ${codes}`)
    await client.close()
    await Promise.all(others.map((id) => cluster().restart(id)))
    await soak.record.more(SOME)
    await endAndAudit(soak, context)
  },
)

test('kill -9 of all nodes at once loses nothing', LIMITS, async (context) => {
  const soak = startSoak('KillAll')
  await soak.record.more(SOME)
  const { ids } = cluster()
  await Promise.all(ids.map((id) => cluster().kill(id, 'SIGKILL')))
  await Promise.all(ids.map((id) => cluster().restart(id)))
  await soak.record.more(SOME)
  await endAndAudit(soak, context)
})
