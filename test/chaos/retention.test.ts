/**
 * Old parts of the log are deleted while a group runs: by an administrator, for one that was away.
 */
import assert from 'node:assert/strict'
import { readdirSync, statSync, utimesSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { RemotingClient } from '@ringledger/network'
import {
  parseJsonBody,
  type RemotingCommand,
  RequestCode,
  ResponseCode,
} from '@ringledger/protocol'
import { CLUSTER_NAME, useCluster } from '../harness/cluster.ts'
import { eventually } from '../harness/eventually.ts'
import { ask } from '../harness/name-server.ts'
import { pullRequest } from '../harness/pull-request.ts'
import { auditNode, queueEnds } from '../load/audit.ts'
import { flood } from '../load/flood.ts'
import type { LoadRecord } from '../load/record.ts'
import { ROOT, runCommand } from '../support/run-command.ts'

const MIB = 1024 * 1024
const BODY_BYTES = 2048
const IDLE = 'RetentionIdle'
const BUSY = 'RetentionBusy'
const GROUP = 'retention-group'
const CONSUMED = 2
const QUEUES = 4
const OPTIONS = { timeout: 480_000 }
const LIMIT_MS = 120_000
const TWO_HOURS_MS = 2 * 3600 * 1000

const cluster = useCluster({
  nodes: 3,
  settings: {
    mappedFileSizeCommitLog: String(MIB),
    maxMessageSize: '65536',
    mappedFileSizeConsumeQueue: '4000',
    maxHashSlotNum: '500',
    maxIndexNum: '2000',
    fileReservedTime: '1',
    // Not while this test runs.
    deleteWhen: String((new Date().getHours() + 12) % 24),
    cleanResourceInterval: '300',
  },
})

/** Asked again until it is answered: the machine may be busy. */
function asked(id: string, request: Parameters<typeof ask>[1]): Promise<RemotingCommand> {
  return eventually(() => ask(cluster().addressOf(id), request), {
    what: `an answer of ${id} to ${request.code}`,
    limitMs: LIMIT_MS,
  })
}

async function runtimeInfo(id: string): Promise<Record<string, string>> {
  const answer = await asked(id, { code: RequestCode.GET_BROKER_RUNTIME_INFO })
  return (parseJsonBody(answer.body) as { table: Record<string, string> }).table
}

async function firstPosition(id: string): Promise<number> {
  return Number((await runtimeInfo(id)).commitLogMinOffset)
}

function dataFiles(id: string): string[] {
  const directory = join(cluster().directory, id, `dledger-${id}`, 'data')
  return readdirSync(directory)
    .sort()
    .map((name) => join(directory, name))
}

async function mqadmin(...argv: string[]): Promise<string> {
  const command = [join(ROOT, 'packages/cli/bin/mqadmin.mjs'), ...argv]
  const ended = await runCommand(process.execPath, [...command, '-n', cluster().nameServer])
  assert.equal(ended.code, 0, ended.stderr)
  return ended.stdout
}

/** The files are as old as if nothing had been written for two hours, but for the newest two. */
function age(id: string): void {
  const old = new Date(Date.now() - TWO_HOURS_MS)
  for (const path of dataFiles(id).slice(0, -2)) utimesSync(path, old, old)
}

/** Asks until each of the nodes has deleted what is old. */
async function deleteOld(ids: readonly string[]): Promise<void> {
  const before = new Map<string, number>()
  for (const id of ids) {
    before.set(id, await firstPosition(id))
    age(id)
  }
  await eventually(
    async () => {
      await mqadmin('deleteExpiredCommitLog', '-c', CLUSTER_NAME)
      for (const id of ids) if ((await firstPosition(id)) <= before.get(id)!) return undefined
      return true
    },
    { what: 'the deletion of old segments', limitMs: LIMIT_MS },
  )
  for (const id of ids) {
    await eventually(
      async () => {
        const first = String(await firstPosition(id)).padStart(20, '0')
        return dataFiles(id)[0]?.endsWith(first) || undefined
      },
      { what: `the files of ${id} to go`, limitMs: LIMIT_MS },
    )
  }
}

async function offsets(id: string, code: number, topic: string): Promise<number[]> {
  const found: number[] = []
  for (let queueId = 0; queueId < QUEUES; queueId++) {
    const ext = { topic, queueId: String(queueId) }
    found.push(Number((await asked(id, { code, ext })).ext.offset))
  }
  return found
}

/**
 * What was read between two deletions, with the minimum offsets at that time: one that was asked
 * for goes on for a while.
 */
async function atRest<Value>(
  id: string,
  topic: string,
  read: (minima: readonly number[]) => Promise<Value>,
): Promise<{ value: Value; minima: readonly number[] }> {
  const minimaNow = (): Promise<number[]> => offsets(id, RequestCode.GET_MIN_OFFSET, topic)
  return await eventually(
    async () => {
      const minima = await minimaNow()
      const value = await read(minima)
      return isDeepStrictEqual(await minimaNow(), minima) ? { value, minima } : undefined
    },
    { what: `the deletions of ${id} to pause`, limitMs: LIMIT_MS },
  )
}

/** All that is above the minimum offsets is there as it was promised; the rest is gone. */
async function auditWhatIsLeft(id: string, record: LoadRecord): Promise<void> {
  const { value: found, minima } = await atRest(id, record.topic, () =>
    auditNode(cluster().addressOf(id), record),
  )
  const gone = record.acknowledged.filter(
    ({ queueId, queueOffset }) => queueOffset < minima[queueId]!,
  )
  assert.ok(gone.length > 0, 'something was deleted')
  const wrong = { moved: 0, repeated: 0, corrupt: 0, offsetGaps: 0 }
  assert.deepEqual(found, { ...wrong, lost: gone.length }, id)
}

async function catchesUp(id: string): Promise<void> {
  await eventually(
    async () => {
      const leader = cluster().addressOf(await cluster().leader())
      for (const topic of [BUSY, IDLE]) {
        const ends = await queueEnds(leader, topic)
        const own = await queueEnds(cluster().addressOf(id), topic)
        if (!own.every((end, queueId) => end === ends[queueId])) return undefined
      }
      return true
    },
    { what: `${id} to have everything`, limitMs: LIMIT_MS },
  )
}

async function pullFrom(id: string, offset: number): Promise<[number, number]> {
  const place = { group: GROUP, topic: BUSY, queueId: 0, queueOffset: offset, maxMessages: 1 }
  const client = new RemotingClient()
  await client.connect(cluster().addressOf(id))
  try {
    const { code, ext } = await client.request(pullRequest(place), 10_000)
    return [code, Number(ext.nextBeginOffset)]
  } finally {
    await client.close()
  }
}

/** Some MiB more of the log. */
function floodBusy(sizeMib: number): Promise<LoadRecord> {
  const messages = (sizeMib * MIB) / BODY_BYTES
  const { nameServer } = cluster()
  return flood({ nameServer, topic: BUSY, messages, bodyBytes: BODY_BYTES })
}

test('an administrator deletes what is old, and nothing else changes', OPTIONS, async () => {
  await flood({ nameServer: cluster().nameServer, topic: IDLE, messages: 40 })
  await mqadmin('updateSubGroup', '-c', CLUSTER_NAME, '-g', GROUP)
  const leader = await cluster().leader()
  const commit = { consumerGroup: GROUP, topic: IDLE, queueId: '0', commitOffset: `${CONSUMED}` }
  await asked(leader, { code: RequestCode.UPDATE_CONSUMER_OFFSET, ext: commit })
  const ends = await queueEnds(cluster().addressOf(leader), IDLE)
  const record = await floodBusy(6)
  for (const id of cluster().ids) await catchesUp(id)
  await deleteOld(cluster().ids)
  for (const id of cluster().ids) {
    await auditWhatIsLeft(id, record)
    assert.deepEqual(await queueEnds(cluster().addressOf(id), IDLE), ends)
    assert.deepEqual(await offsets(id, RequestCode.GET_MIN_OFFSET, IDLE), ends, 'an empty queue')
  }
  const serving = await cluster().leader()
  const { value: pulled, minima } = await atRest(serving, BUSY, async ([minimum]) => [
    await pullFrom(serving, 0),
    await pullFrom(serving, minimum!),
  ])
  const minimum = minima[0]!
  assert.deepEqual(pulled, [
    [ResponseCode.PULL_OFFSET_MOVED, minimum],
    [ResponseCode.SUCCESS, minimum + 1],
  ])
  const follower = cluster().ids.find((id) => id !== serving)!
  await cluster().kill(follower, 'SIGKILL')
  const [first] = dataFiles(follower)
  await cluster().restart(follower)
  assert.equal(await firstPosition(follower), Number(basename(first!)))
  await catchesUp(follower)
  await auditWhatIsLeft(follower, record)
})

test(
  'a member that was away while the others deleted begins with what they have',
  OPTIONS,
  async () => {
    const leader = await cluster().leader()
    const away = cluster().ids.find((id) => id !== leader)!
    const others = cluster().ids.filter((id) => id !== away)
    const ends = await queueEnds(cluster().addressOf(leader), IDLE)
    await cluster().kill(away, 'SIGKILL')
    const end = Math.max(...dataFiles(away).map((path) => Number(path.split('/').at(-1))))
    const record = await floodBusy(8)
    await eventually(
      async () => {
        await deleteOld(others)
        return (await firstPosition(leader)) > end + MIB || undefined
      },
      { what: 'the end of what it knows', limitMs: LIMIT_MS },
    )
    await cluster().restart(away)
    await catchesUp(away)
    assert.match(cluster().logOf(away), /its log begins anew at position/)
    assert.match(cluster().logOf(away), /the tables were taken from the log's snapshot/)
    await auditWhatIsLeft(away, record)
    assert.deepEqual(await queueEnds(cluster().addressOf(away), IDLE), ends, 'offsets go on')
    const brokerId = String(Number(away.slice(1)) + 1)
    await mqadmin('electMaster', '-b', brokerId)
    assert.equal(await cluster().leader(), away)
    const query = { consumerGroup: GROUP, topic: IDLE, queueId: '0' }
    const known = await eventually(
      async () => {
        const code = RequestCode.QUERY_CONSUMER_OFFSET
        const answer = await ask(cluster().addressOf(away), { code, ext: query })
        return answer.code === ResponseCode.SUCCESS ? answer.ext.offset : undefined
      },
      { what: 'the consumer offset', limitMs: LIMIT_MS },
    )
    assert.equal(known, String(CONSUMED))
    const more = await flood({ nameServer: cluster().nameServer, topic: IDLE, messages: 8 })
    assert.ok(more.acknowledged.every(({ queueId, queueOffset }) => queueOffset >= ends[queueId]!))
    assert.ok(statSync(dataFiles(away)[0]!).size === MIB)
  },
)
