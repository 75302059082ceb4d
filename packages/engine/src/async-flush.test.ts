import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePorts, TestGroup, type TestMember } from './group-fake.ts'

function dataOf(root: string, member: TestMember, end: number): Buffer {
  const directory = join(root, member.id, `dledger-${member.id}`, 'data')
  const files = readdirSync(directory).sort()
  return Buffer.concat(files.map((file) => readFileSync(join(directory, file)))).subarray(0, end)
}

/** Appends entries and kills `victim` in the turn in which the leader counts them as committed. */
async function appendThenKill(
  group: TestGroup,
  leader: TestMember,
  victim: TestMember,
): Promise<number> {
  let end = 0
  for (let at = 0; at < 40; at++) end = leader.append(Buffer.alloc(200 + at * 50, at))
  leader.core?.replica.endTurn()
  await group.until(() => (leader.core?.replica.committedPosition ?? 0) >= end)
  await victim.kill()
  return end
}

test('ASYNC_FLUSH: one killed member at a time loses nothing that was acknowledged', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'ringledger-async-'))
  const group = new TestGroup(root, await freePorts(3), { syncBeforeAck: false })
  t.after(async () => {
    await group.stop()
    rmSync(root, { recursive: true, force: true })
  })
  await Promise.all(group.members.map((member) => member.start()))
  let acknowledged = 0
  for (let round = 0; round < 6; round++) {
    const leader = await group.leader()
    const followers = group.members.filter((member) => member !== leader)
    const victim = round % 2 === 0 ? leader : (followers[round % followers.length] as TestMember)
    acknowledged = await appendThenKill(group, leader, victim)
    const next = await group.leader()
    assert.ok((next.core?.replica.committedPosition ?? 0) >= acknowledged)
    await victim.start()
    // A second loss before the first is made good may lose the newest entries.
    await group.until(() => group.members.every((member) => member.visible >= acknowledged))
  }
  const [first, ...others] = group.members.map((member) => dataOf(root, member, acknowledged))
  for (const other of others) assert.ok(first?.equals(other))
  for (const member of group.members) assert.doesNotMatch(member.log.join(), /halted/)
})
