/**
 * What an importer writes, for the pack test: it is type-checked strictly against the declarations
 * of the tarballs, and runs on Node 24 in an empty project.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  AppendError,
  type Appended,
  type Ledger,
  LedgerError,
  type LedgerMember,
  openLedger,
} from '@ringledger/engine'
import { LedgerClient, startLedgerServer } from '@ringledger/ledger-cli'
import { encodeCommand } from '@ringledger/protocol'
import { SpscRing } from 'sharedarraybuffer-ringbuffer'

const root = mkdtempSync(join(tmpdir(), 'ringledger-consumer-'))

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

/** Three members in this process. */
async function openGroup(): Promise<Ledger[]> {
  const members: LedgerMember[] = []
  for (const id of ['n0', 'n1', 'n2']) {
    members.push({ id, host: '127.0.0.1', port: await freePort() })
  }
  const open = members.map(({ id }) =>
    openLedger({ directory: join(root, id), group: 'consumer', selfId: id, members }),
  )
  return await Promise.all(open)
}

async function useGroup(): Promise<void> {
  const ledgers = await openGroup()
  await Promise.all(ledgers.map((ledger) => ledger.waitForLeader()))
  const leader = ledgers.find((ledger) => ledger.status().role === 'leader')
  const follower = ledgers.find((ledger) => ledger !== leader)
  assert.ok(leader !== undefined && follower !== undefined)
  const appended: Appended = await leader.append(Buffer.from('from a tarball'))
  const batch = await leader.appendBatch([Buffer.from('a'), new Uint8Array([98])])
  assert.equal(batch[0]?.index, appended.index + 1)
  const refused = await follower.append(Buffer.from('x')).catch((error: unknown) => error)
  assert.ok(refused instanceof AppendError && refused instanceof LedgerError)
  assert.deepEqual([refused.code, refused.mayCommit], ['NOT_LEADER', false])
  const end = await leader.readIndex()
  const bodies: string[] = []
  for await (const entry of leader.read({ index: 0 }, { untilIndex: end.index })) {
    bodies.push(Buffer.from(entry.body).toString())
  }
  assert.deepEqual(bodies, ['from a tarball', 'a', 'b'])
  await Promise.all(ledgers.map((ledger) => ledger.close()))
}

async function useServer(): Promise<void> {
  const server = await startLedgerServer({
    ledger: { directory: join(root, 'server'), group: 'g1', selfId: 'n0' },
    clients: [{ id: 'n0', host: '127.0.0.1', port: 0 }],
    log: () => {},
  })
  const address = { id: 'n0', host: '127.0.0.1', port: server.clientPort }
  const client = new LedgerClient({ members: [address], group: 'g1' })
  const { index } = await client.append([Buffer.from('through a port')])
  assert.equal((await client.get(index))?.body.toString(), 'through a port')
  await client.close()
  await server.close()
}

assert.ok(encodeCommand({ code: 1, opaque: 1 }).length > 8)
assert.ok(new SpscRing(SpscRing.allocate(64 * 1024)).freeBytes > 0)
await useGroup()
await useServer()
rmSync(root, { recursive: true })
process.stdout.write(`consumer: done on Node ${process.versions.node}\n`)
