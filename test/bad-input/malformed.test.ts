import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useCluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { audit, NOTHING_WRONG } from '../load/audit.ts'
import { Soak } from '../load/soak.ts'
import { NO_FRAMES, REFUSED_REQUESTS, UNKNOWN_CODE } from './frames.ts'
import { exchange } from './raw.ts'

const LIMITS = { timeout: 120_000 }
const cluster = useCluster({ nodes: 3 })

/** Lines of the log of `name` that speak of this client. */
function linesAbout(name: string, from: string): string[] {
  const lines = cluster().logOf(name).split('\n')
  return lines.filter((line) => line.includes(`${from}:`) || line.includes(`${from} `))
}

async function assertClosedWithOneLine(name: string, address: string): Promise<void> {
  const clients: [string, string][] = []
  for (const { name: what, bytes } of NO_FRAMES) {
    const { from, answer } = await exchange(address, bytes)
    assert.equal(answer, undefined, `${what} was answered`)
    clients.push([what, from])
  }
  for (const [what, from] of clients) {
    await eventually(async () => (linesAbout(name, from).length > 0 ? true : undefined), {
      what: `a line about ${what}`,
    })
    assert.equal(linesAbout(name, from).length, 1, what)
  }
}

test('what is no frame closes the connection and is one line in the log', LIMITS, async () => {
  const leader = await cluster().leader()
  await assertClosedWithOneLine(leader, cluster().addressOf(leader))
  await assertClosedWithOneLine('namesrv', cluster().nameServer)
})

test("what cannot be done is answered with RocketMQ's code", LIMITS, async () => {
  const leader = cluster().addressOf(await cluster().leader())
  for (const { name, bytes, code } of REFUSED_REQUESTS) {
    const { answer } = await exchange(leader, bytes)
    assert.equal(answer?.code, code, `${name}: ${answer?.remark}`)
    assert.notEqual(answer?.remark, '', name)
  }
  const { answer } = await exchange(cluster().nameServer, UNKNOWN_CODE.bytes)
  assert.equal(answer?.code, UNKNOWN_CODE.code)
})

test('others are not affected', LIMITS, async (context) => {
  const { nameServer } = cluster()
  const leader = await cluster().leader()
  const soak = new Soak({ nameServer, topic: 'Unaffected' })
  const inputs = [...NO_FRAMES, ...REFUSED_REQUESTS]
  await soak.record.more(100)
  for (const { bytes } of inputs) await exchange(cluster().addressOf(leader), bytes)
  for (const { bytes } of inputs) await exchange(nameServer, bytes)
  await soak.record.more(100)
  const record = await soak.end()
  context.diagnostic(record.summary())
  assert.deepEqual([...record.failures], [])
  assert.deepEqual(await audit(nameServer, record), NOTHING_WRONG)
  assert.equal(await cluster().leader(), leader)
})
