import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { PeerHub } from '@ringledger/network'
import { BROKER_NAME, useCluster } from '../harness/cluster.ts'
import { audit, NOTHING_WRONG } from '../load/audit.ts'
import { Soak } from '../load/soak.ts'
import { NO_FRAMES } from './frames.ts'
import { dial, exchange } from './raw.ts'

const LIMITS = { timeout: 120_000 }
const SEGMENT_BYTES = 64 * 1024 * 1024
/** Of the default maxMessageSize. */
const MAX_ENTRY_BYTES = (4 * 1024 + 128) * 1024
const SOME = 100
const TIMES = 4
const cluster = useCluster({ nodes: 3 })

/** A node that dials `target` and resolves with what its log says about it. */
async function refusalOf(context: TestContext, group: string, target: string): Promise<string> {
  const [host = '', port = ''] = cluster().peerAddressOf(target).split(':')
  let said: (line: string) => void
  const line = new Promise<string>((resolve) => {
    said = resolve
  })
  const stranger = new PeerHub(
    {
      selfId: 'n9',
      group,
      segmentBytes: SEGMENT_BYTES,
      maxEntryBytes: MAX_ENTRY_BYTES,
      host: '127.0.0.1',
      port: 0,
      peers: [{ id: target, host, port: Number(port) }],
      log: (_level, text) => said(text),
    },
    { onMessage() {}, onConnected: () => said('connected'), onDisconnected() {} },
  )
  await stranger.listen()
  context.after(() => stranger.close())
  return await line
}

function strangerLines(id: string): number {
  return cluster().logOf(id).split('\n').filter(isAboutStranger).length
}

function isAboutStranger(line: string): boolean {
  return line.includes('no peer connection with 127.0.0.1:')
}

test('garbage closes the connection, with one line for each kind', LIMITS, async () => {
  const leader = await cluster().leader()
  const address = cluster().peerAddressOf(leader)
  for (let time = 0; time < TIMES; time++) {
    for (const { name, bytes } of NO_FRAMES) {
      const { answer } = await exchange(address, bytes)
      assert.equal(answer, undefined, name)
    }
  }
  const lines = strangerLines(leader)
  assert.ok(lines > 0 && lines <= NO_FRAMES.length, `${lines} lines`)
})

test('a node of another group or unknown to the group is refused', LIMITS, async (context) => {
  const leader = await cluster().leader()
  assert.match(await refusalOf(context, 'Other', leader), /group Other|belongs to group/)
  assert.match(await refusalOf(context, BROKER_NAME, leader), /n9 is not among/)
})

test('a node finds its group though strangers hold on to its ports', LIMITS, async (context) => {
  const soak = new Soak({ nameServer: cluster().nameServer, topic: 'Strangers' })
  await soak.record.more(SOME)
  const leader = await cluster().leader()
  const follower = cluster().ids.find((id) => id !== leader) ?? assert.fail('no follower')
  const ports = cluster().ids.map((id) => cluster().peerAddressOf(id))
  await cluster().kill(follower, 'SIGKILL')
  const others = ports.filter((address) => address !== cluster().peerAddressOf(follower))
  const dialled = others.flatMap((address) => Array.from({ length: 40 }, () => dial(address)))
  const sockets = await Promise.all(dialled)
  await cluster().restart(follower)
  await soak.record.more(SOME)
  for (const socket of sockets) socket.destroy()
  const record = await soak.end()
  context.diagnostic(record.summary())
  assert.deepEqual([...record.failures], [])
  assert.deepEqual(await audit(cluster().nameServer, record), NOTHING_WRONG)
})
