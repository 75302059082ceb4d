import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestCode } from '@ringledger/protocol'
import { useCluster } from '../harness/cluster.ts'
import { ask } from '../harness/name-server.ts'
import { audit, NOTHING_WRONG } from '../load/audit.ts'
import { Soak } from '../load/soak.ts'

const SOME = 200
const TRANSFERS = 5
const cluster = useCluster({ nodes: 3 })

/** One sender that is refused closes the connection that all of them use. */
const EXPECTED = /^(code 14 .*|CLOSED)$/

test('leadership handed over on request loses nothing, and every refused send may be repeated', {
  timeout: 180_000,
}, async (context) => {
  const soak = new Soak({ nameServer: cluster().nameServer, topic: 'Transfer' })
  await soak.record.more(SOME)
  for (let time = 0; time < TRANSFERS; time++) {
    const { ids } = cluster()
    const from = await cluster().leader()
    const at = (ids.indexOf(from) + 1 + (time % 2)) % ids.length
    const request = { code: RequestCode.CONTROLLER_ELECT_MASTER, ext: { brokerId: String(at + 1) } }
    await ask(cluster().addressOf(from), request)
    await soak.record.more(SOME)
    assert.equal(await cluster().leader(), ids[at])
  }
  const record = await soak.end()
  context.diagnostic(record.summary())
  const reasons = [...record.failures.keys()]
  assert.deepEqual(
    reasons.filter((reason) => !EXPECTED.test(reason)),
    [],
  )
  assert.deepEqual(await audit(cluster().nameServer, record), NOTHING_WRONG)
})
