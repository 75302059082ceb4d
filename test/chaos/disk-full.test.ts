import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { parseJsonBody, RequestCode } from '@ringledger/protocol'
import { useCluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { ask } from '../harness/name-server.ts'
import { cannotMount, SmallDisks } from '../harness/small-disk.ts'
import { audit, auditNode, NOTHING_WRONG, queueEnds } from '../load/audit.ts'
import { flood } from '../load/flood.ts'
import { Soak } from '../load/soak.ts'

const SOME = 200
const MIB = 1024 * 1024
const DISK_BYTES = 128 * MIB
const MINIMUM_FREE_BYTES = 16 * MIB
const REFUSAL = 'code 14 service not available now: the disk of the broker is full'
const OPTIONS = { timeout: 120_000, skip: cannotMount() }

const disks = new SmallDisks(DISK_BYTES)
after(() => disks.unmount())
const cluster = useCluster({
  nodes: 3,
  settings: {
    minimumFreeDiskBytes: String(MINIMUM_FREE_BYTES),
    maxHashSlotNum: '5000',
    maxIndexNum: '20000',
  },
  environment: (id, directory) => {
    if (OPTIONS.skip === false) disks.mount(join(directory, id))
    return {}
  },
})

function diskOf(id: string): string {
  return join(cluster().directory, id)
}

async function runtimeInfo(id: string): Promise<Record<string, string>> {
  const answer = await ask(cluster().addressOf(id), { code: RequestCode.GET_BROKER_RUNTIME_INFO })
  return (parseJsonBody(answer.body) as { table: Record<string, string> }).table
}

/** Resolves when the node itself says so. */
async function saysFull(id: string, full: boolean): Promise<void> {
  await eventually(
    async () => ((await runtimeInfo(id)).diskFull === String(full) ? true : undefined),
    { what: `${id} says that its disk is ${full ? 'full' : 'not full'}` },
  )
}

async function catchesUp(id: string, topic: string): Promise<void> {
  await eventually(
    async () => {
      const ends = await queueEnds(cluster().addressOf(await cluster().leader()), topic)
      const own = await queueEnds(cluster().addressOf(id), topic)
      return own.every((end, queueId) => end === ends[queueId]) ? true : undefined
    },
    { what: `all of ${topic} at ${id}` },
  )
}

async function startSoak(topic: string, context: TestContext): Promise<Soak> {
  const soak = new Soak({ nameServer: cluster().nameServer, topic })
  context.after(() => soak.end())
  await soak.record.more(SOME)
  return soak
}

/** On every node, and nobody has been restarted since `pids`. */
async function endAndAudit(soak: Soak, pids: number[], context: TestContext): Promise<void> {
  const record = await soak.end()
  context.diagnostic(record.summary())
  for (const id of cluster().ids) {
    await catchesUp(id, record.topic)
    assert.deepEqual(await auditNode(cluster().addressOf(id), record), NOTHING_WRONG)
  }
  assert.deepEqual(pidsNow(), pids, 'nobody died')
}

function pidsNow(): number[] {
  return cluster().ids.map((id) => cluster().pidOf(id))
}

test(
  'a leader whose disk fills up hands over to a follower with space',
  OPTIONS,
  async (context) => {
    const pids = pidsNow()
    const soak = await startSoak('FullLeader', context)
    const full = await cluster().leader()
    disks.fill(diskOf(full), MINIMUM_FREE_BYTES / 2)
    await saysFull(full, true)
    await eventually(async () => ((await cluster().leader()) === full ? undefined : true), {
      what: 'another leader',
    })
    await soak.record.more(SOME)
    for (const reason of soak.record.failures.keys()) {
      // Connections that a sender gave up end with the requests of the others.
      assert.match(
        reason,
        /^(code (1|14) |TIMEOUT|CLOSED)/,
        'a change of leader and the true cause',
      )
    }
    assert.equal((await runtimeInfo(full)).raftRole, 'follower')
    disks.free(diskOf(full))
    await saysFull(full, false)
    await endAndAudit(soak, pids, context)
  },
)

test(
  'a follower without any space lags, the group goes on, and it catches up',
  OPTIONS,
  async (context) => {
    const pids = pidsNow()
    const soak = await startSoak('FullFollower', context)
    const leader = await cluster().leader()
    const id = cluster().ids.find((one) => one !== leader) ?? assert.fail('no follower')
    disks.fill(diskOf(id), 0)
    const bodyBytes = 4096
    const messages = (24 * MIB) / bodyBytes
    await flood({ nameServer: cluster().nameServer, topic: 'FullFlood', messages, bodyBytes })
    await saysFull(id, true)
    await soak.record.more(SOME)
    assert.ok(disks.freeBytes(diskOf(id)) < MIB, 'nothing was left for it')
    assert.equal(await cluster().leader(), leader)
    assert.deepEqual([...soak.record.failures.keys()], [], 'no send met a failure')
    disks.free(diskOf(id))
    await saysFull(id, false)
    await catchesUp(id, 'FullFlood')
    await endAndAudit(soak, pids, context)
  },
)

test(
  'all disks are full: writes are refused, reads and elections go on, and all come back',
  OPTIONS,
  async (context) => {
    const pids = pidsNow()
    const before = await startSoak('BeforeFull', context)
    const written = await before.end()
    const soak = await startSoak('AllFull', context)
    for (const id of cluster().ids) disks.fill(diskOf(id), MINIMUM_FREE_BYTES / 2)
    for (const id of cluster().ids) await saysFull(id, true)
    await eventually(async () => soak.record.failures.has(REFUSAL) || undefined, {
      what: 'a refusal that names the cause',
    })
    assert.deepEqual(await audit(cluster().nameServer, written), NOTHING_WRONG, 'reads go on')
    const stopped = await cluster().leader()
    await cluster().kill(stopped, 'SIGSTOP')
    assert.notEqual(await cluster().leader(), stopped, 'another leader is elected and serves reads')
    assert.deepEqual(await audit(cluster().nameServer, written), NOTHING_WRONG)
    await cluster().kill(stopped, 'SIGCONT')
    for (const id of cluster().ids) disks.fill(diskOf(id), 0)
    const follower = cluster().ids.find((id) => id !== stopped) ?? assert.fail('no other node')
    assert.deepEqual(await auditNode(cluster().addressOf(follower), written), NOTHING_WRONG)
    for (const id of cluster().ids) disks.free(diskOf(id))
    for (const id of cluster().ids) await saysFull(id, false)
    await soak.record.more(SOME)
    await endAndAudit(soak, pids, context)
  },
)

test(
  'a node starts on a full disk; without any space it says what it needs',
  OPTIONS,
  async (context) => {
    const soak = await startSoak('FullStart', context)
    const leader = await cluster().leader()
    const id = cluster().ids.find((one) => one !== leader) ?? assert.fail('no follower')
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await cluster().kill(id, signal)
      disks.fill(diskOf(id), 0)
      await assert.rejects(
        cluster().restart(id),
        /the disk of \S+ is full, .*: free them and start/,
      )
      disks.free(diskOf(id))
      disks.fill(diskOf(id), MINIMUM_FREE_BYTES / 2)
      await cluster().restart(id)
      await saysFull(id, true)
      await soak.record.more(SOME)
      disks.free(diskOf(id))
      await saysFull(id, false)
    }
    await endAndAudit(soak, pidsNow(), context)
  },
)
