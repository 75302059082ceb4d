/** The `ledger` command as an operator uses it: three processes, a crash, a transfer, a check. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LedgerGroup, ledger } from './ledger-processes.ts'

interface Place {
  readonly index: number
  readonly term: number
  readonly entries: number
}

async function startGroup(context: TestContext, ...extra: string[]): Promise<LedgerGroup> {
  const root = mkdtempSync(join(tmpdir(), 'ringledger-ledger-'))
  const small = ['--segment-bytes', '65536', '--max-entry-bytes', '16384']
  const group = await LedgerGroup.start(root, 3, [...small, ...extra])
  context.after(async () => {
    await group.stop()
    rmSync(root, { recursive: true, force: true })
  })
  return group
}

async function append(group: LedgerGroup, ...args: string[]): Promise<Place[]> {
  const { code, stdout, stderr } = await group.client('append', '--json', ...args)
  assert.deepEqual([code, stderr], [0, ''])
  return jsonLines<Place>(stdout)
}

function jsonLines<Line>(text: string): Line[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
}

async function entries(group: LedgerGroup): Promise<{ index: number; text: string }[]> {
  const { code, stdout, stderr } = await group.client('tail', '--json', '--from', '0')
  assert.deepEqual([code, stderr], [0, ''])
  return jsonLines(stdout)
}

async function bodies(group: LedgerGroup): Promise<string[]> {
  return (await entries(group)).map(({ text }) => text)
}

test('three servers: append, a killed leader, get, tail, transfer, verify, dump', async (context) => {
  const group = await startGroup(context)
  const first = await group.leader()
  const [place] = await append(group, 'one')
  const lines = Array.from({ length: 300 }, (_, at) => `line ${at}`)
  const file = join(first.storeDirectory, 'lines.txt')
  writeFileSync(file, lines.join('\n'))
  const batches = await append(group, '--file', file, '--lines', '--batch', '64')
  assert.deepEqual(
    batches.map(({ entries }) => entries),
    [64, 64, 64, 64, 44],
  )

  await first.end('SIGKILL')
  const [after] = await append(group, 'after the crash')
  const second = await group.leader()
  assert.notEqual(second.id, first.id)
  assert.ok(after !== undefined && place !== undefined && after.term > place.term)
  assert.deepEqual(await bodies(group), ['one', ...lines, 'after the crash'])
  const got = await group.client('get', String(place.index))
  assert.deepEqual([got.code, got.stdout], [0, 'one\n'])

  first.start()
  await group.leader()
  const moved = await group.client('transfer', first.id, '--json')
  assert.equal(moved.code, 0, moved.stderr)
  assert.equal((await group.leader()).id, first.id)
  const status = await group.client('status', '--json')
  assert.equal(JSON.parse(status.stdout).leaderId, first.id)
  await append(group, 'the last')

  await Promise.all(group.members.map((member) => member.end('SIGTERM')))
  for (const { id, storeDirectory, closedInOrder } of group.members) {
    assert.ok(closedInOrder, `${id} did not close in order`)
    const verified = await ledger('verify', storeDirectory, '--json')
    assert.equal(verified.code, 0, verified.stdout + verified.stderr)
    const dumped = await ledger('dump', storeDirectory, '--json')
    const entries = jsonLines<{ text: string; isBarrier: boolean }>(dumped.stdout)
    const texts = entries.filter(({ isBarrier }) => !isBarrier).map(({ text }) => text)
    assert.deepEqual(texts, ['one', ...lines, 'after the crash', 'the last'])
  }
})

test('a follower of tail misses and repeats nothing while leaders are killed', async (context) => {
  const group = await startGroup(context)
  await group.leader()
  const total = 60
  const all = ['--follow', '--from', '0', '--max', String(total)]
  const following = group.client('tail', '--json', ...all)
  for (let round = 0; round < 3; round++) {
    const texts = Array.from({ length: 20 }, (_, at) => `${round * 20 + at}`)
    await append(group, ...texts)
    const leader = await group.leader()
    if (round === 2) break
    await leader.end('SIGKILL')
    await group.leader()
    leader.start()
    await group.leader()
  }
  const { code, stdout, stderr } = await following
  assert.deepEqual([code, stderr], [0, ''])
  const texts = jsonLines<{ text: string }>(stdout).map(({ text }) => text)
  assert.deepEqual(
    texts,
    Array.from({ length: total }, (_, at) => `${at}`),
  )
})

test('damage is found in a stopped store, and made good by the others in a running one', async (context) => {
  const group = await startGroup(context, '--preferred-leader-id', 'n0')
  const preferred = group.members[0]!
  await group.until(() => preferred.role?.role === 'leader')
  await append(group, ...Array.from({ length: 50 }, (_, at) => `entry ${at}`))
  const { text, index } = (await entries(group)).find((entry) => entry.text === 'entry 20')!
  await preferred.end('SIGTERM')
  const segment = join(preferred.storeDirectory, 'dledger-n0/data/00000000000000000000')
  const bytes = readFileSync(segment)
  const at = bytes.indexOf(text)
  bytes[at] = bytes[at]! ^ 0x20
  writeFileSync(segment, bytes)
  const damaged = await ledger('verify', preferred.storeDirectory, '--json')
  assert.equal(damaged.code, 3)
  const [found] = (JSON.parse(damaged.stdout) as { damage: { index: number; reason: string }[] })
    .damage
  assert.deepEqual([found?.index, found?.reason], [index, 'its body fails its checksum'])

  preferred.start()
  await group.until(() => preferred.role?.role === 'leader')
  const got = await group.client('get', String(index))
  assert.deepEqual([got.code, got.stdout], [0, 'entry 20\n'], got.stderr)
  await preferred.end('SIGTERM')
  const repaired = await ledger('verify', preferred.storeDirectory)
  assert.equal(repaired.code, 0, repaired.stdout)
})
