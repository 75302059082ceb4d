import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOTHING_WRONG } from '../load/audit.ts'
import { Deployment, leaderOf } from './deployment.ts'
import { noNamespaces } from './namespaces.ts'

const SOME = 'more 200'

test('the documented files make a group that outlives the loss of a link', {
  skip: noNamespaces(),
  timeout: 180_000,
}, async (context) => {
  const deployment = await Deployment.start(context)
  const { network, servers } = deployment
  const ids = await deployment.clusterUntil((all) => all.size === 3 && leaderOf(all) !== undefined)
  assert.deepEqual([...ids.keys()].sort(), ['10.0.0.11', '10.0.0.12', '10.0.0.13'])
  const load = deployment.load(context, 'Isolation')
  await load.answer(SOME)

  const leader = leaderOf(ids)
  const lost = servers.find(({ address }) => address === leader)
  assert.ok(lost)
  network.cut(lost.name)
  await load.answer(SOME)
  const next = await deployment.clusterUntil(
    (all) => ![undefined, leader].includes(leaderOf(all)) && !all.has(lost.address),
  )
  assert.equal(next.size, 2)
  const inside = deployment.client(context, lost.name, 'send', `${lost.address}:10911`, 'Isolation')
  const { code, remark } = await inside.answer()
  assert.equal(code, 14, `an isolated node must refuse writes: ${remark}`)

  network.heal(lost.name)
  await deployment.clusterUntil((all) => all.size === 3 && leaderOf(all) !== undefined)
  await load.answer(SOME)
  const { summary, audit } = await load.answer('end')
  context.diagnostic(String(summary))
  assert.deepEqual(audit, NOTHING_WRONG)
})
