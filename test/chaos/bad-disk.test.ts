import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { useCluster } from '../harness/cluster.ts'
import { audit, NOTHING_WRONG } from '../load/audit.ts'
import { flood } from '../load/flood.ts'
import { Soak } from '../load/soak.ts'
import { missingTools } from '../support/external-tools.ts'

const SOME = 200
const LIMITS = { timeout: 120_000 }
const MIB = 1024 * 1024
/** Only the log's files grow beyond it here. */
const WRITABLE_BYTES = 4 * MIB
/** EX_IOERR */
const DISK_FAILED = 74
const skip = process.platform === 'linux' ? missingTools('prlimit') : 'needs Linux'
const cluster = useCluster({
  nodes: 3,
  settings: { maxHashSlotNum: '5000', maxIndexNum: '20000', mappedFileSizeConsumeQueue: '600000' },
})

/** From now on every write of that node beyond the limit fails with EFBIG. */
function failWrites(id: string): void {
  execFileSync('prlimit', [`--pid=${cluster().pidOf(id)}`, `--fsize=${WRITABLE_BYTES}`])
}

async function loadedCluster(topic: string, context: TestContext): Promise<Soak> {
  const { nameServer } = cluster()
  const bodyBytes = 4096
  const messages = (2 * WRITABLE_BYTES) / bodyBytes
  await flood({ nameServer, topic: `${topic}Before`, messages, bodyBytes })
  const soak = new Soak({ nameServer, topic })
  context.after(() => soak.end())
  await soak.record.more(SOME)
  return soak
}

async function endAndAudit(soak: Soak, context: TestContext): Promise<void> {
  const record = await soak.end()
  context.diagnostic(record.summary())
  assert.deepEqual(await audit(cluster().nameServer, record), NOTHING_WRONG)
}

/** The node ends by itself, says which file failed and how, and is started on a good disk again. */
async function failsStops(id: string, soak: Soak): Promise<void> {
  failWrites(id)
  assert.equal(await cluster().ended(id), DISK_FAILED)
  const line = /the node left its group: \S*dledger-n\d\/data\/\d{20}: .*EFBIG.*this process stops/
  assert.match(cluster().logOf(id), line)
  await soak.record.more(SOME)
  await cluster().restart(id)
  await soak.record.more(SOME)
}

test('a leader whose disk fails hands over and ends with its reason', {
  ...LIMITS,
  skip,
}, async (context) => {
  const soak = await loadedCluster('LeaderDisk', context)
  const failed = await cluster().leader()
  await failsStops(failed, soak)
  const others = cluster().ids.filter((id) => id !== failed)
  const taken = new RegExp(`leader in term \\d+, .*\\(${failed} handed leadership over\\)`)
  assert.ok(
    others.some((id) => taken.test(cluster().logOf(id))),
    'it asked the best follower to lead, nobody waited for a timeout',
  )
  await endAndAudit(soak, context)
})

test('a follower whose disk fails ends with its reason, and the others go on', {
  ...LIMITS,
  skip,
}, async (context) => {
  const soak = await loadedCluster('FollowerDisk', context)
  const leader = await cluster().leader()
  const id = cluster().ids.find((one) => one !== leader) ?? assert.fail('no follower')
  await failsStops(id, soak)
  assert.equal(await cluster().leader(), leader)
  assert.deepEqual([...soak.record.failures.keys()], [], 'no send met a failure')
  await endAndAudit(soak, context)
})
