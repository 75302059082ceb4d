import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freePorts, TestGroup, type TestMember } from './group-fake.ts'

async function startGroup(t: TestContext, count = 3): Promise<{ group: TestGroup; root: string }> {
  const root = mkdtempSync(join(tmpdir(), 'ringledger-group-'))
  const group = new TestGroup(root, await freePorts(count))
  t.after(async () => {
    await group.stop()
    rmSync(root, { recursive: true, force: true })
  })
  await Promise.all(group.members.map((member) => member.start()))
  return { group, root }
}

/** Data bytes of a member up to `end`. */
function dataOf(root: string, member: TestMember, end: number): Buffer {
  const directory = join(root, member.id, `dledger-${member.id}`, 'data')
  const files = readdirSync(directory).sort()
  return Buffer.concat(files.map((file) => readFileSync(join(directory, file)))).subarray(0, end)
}

/** Appends entries, a few a turn, and resolves when the leader has committed them. */
async function appendMany(group: TestGroup, leader: TestMember, count: number): Promise<number> {
  let end = 0
  for (let at = 0; at < count; at++) {
    end = leader.append(Buffer.alloc(100 + ((at * 37) % 3000), at & 0xff))
    if (at % 20 !== 19) continue
    const reached = end
    leader.core?.replica.endTurn()
    await group.until(() => leader.visible >= reached)
  }
  leader.core?.replica.endTurn()
  await group.until(() => leader.visible >= end)
  return end
}

function allSee(group: TestGroup, end: number): Promise<void> {
  return group.until(() => group.members.every((m) => m.core === undefined || m.visible >= end))
}

test('three members elect a leader and hold the same bytes', async (t) => {
  const { group, root } = await startGroup(t)
  const leader = await group.leader()
  const end = await appendMany(group, leader, 1000)
  await allSee(group, end)
  const expected = dataOf(root, leader, end)
  assert.ok(expected.length === end && end > 1_000_000)
  for (const member of group.members) assert.deepEqual(dataOf(root, member, end), expected)
})

test('a killed leader is replaced, and comes back with everything it missed, from files', async (t) => {
  const { group, root } = await startGroup(t)
  const first = await group.leader()
  const before = await appendMany(group, first, 100)
  await first.kill()
  const second = await group.leader()
  assert.notEqual(second.id, first.id)
  assert.ok(second.term > first.term)
  // More than the arena holds, so that the returning member must be served from the segment files.
  const end = await appendMany(group, second, 1500)
  assert.ok(end - before > 2 * 1024 * 1024)
  await first.start()
  await allSee(group, end)
  const expected = dataOf(root, second, end)
  for (const member of group.members) assert.deepEqual(dataOf(root, member, end), expected)
})

test('entries that only a stopped minority has are cut off when it meets the new leader', async (t) => {
  const { group, root } = await startGroup(t)
  const first = await group.leader()
  await appendMany(group, first, 50)
  const others = group.members.filter((member) => member !== first)
  for (const other of others) await other.kill()
  // Nobody hears these.
  for (let at = 0; at < 30; at++) first.append(Buffer.alloc(500, 0xee))
  const orphanEnd = first.core?.replica.endPosition ?? 0
  first.core?.replica.endTurn()
  await group.until(() => first.core?.arena.durable === orphanEnd)
  await first.kill()
  for (const other of others) await other.start()
  const second = await group.leader()
  const end = await appendMany(group, second, 20)
  await first.start()
  await allSee(group, end)
  assert.equal(first.core?.replica.endPosition, end)
  const expected = dataOf(root, second, end)
  assert.equal(expected.indexOf(Buffer.alloc(500, 0xee)), -1)
  assert.deepEqual(dataOf(root, first, end), expected)
})

test('leadership is handed over on request', async (t) => {
  const { group } = await startGroup(t)
  const first = await group.leader()
  await appendMany(group, first, 20)
  first.core?.transfer()
  await group.until(() => !first.leading)
  const second = await group.leader()
  assert.notEqual(second.id, first.id)
})

test('a group of one serves at once and finds its log again', async (t) => {
  const { group } = await startGroup(t, 1)
  const leader = await group.leader()
  const end = await appendMany(group, leader, 200)
  await leader.kill()
  await leader.start()
  const again = await group.leader()
  assert.ok(again.term >= 2)
  assert.ok((again.core?.replica.endPosition ?? 0) > end)
})
