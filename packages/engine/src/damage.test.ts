import assert from 'node:assert/strict'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { entryMagic, entrySize, MAGIC_BLANK } from '@ringledger/protocol'
import { freePorts, TestGroup, type TestMember } from './group-fake.ts'

const SEGMENT_BYTES = 256 * 1024

interface Started {
  readonly group: TestGroup
  readonly root: string
}

async function startGroup(t: TestContext, count = 3): Promise<Started> {
  const root = mkdtempSync(join(tmpdir(), 'ringledger-damage-'))
  const group = new TestGroup(root, await freePorts(count), { segmentBytes: SEGMENT_BYTES })
  t.after(async () => {
    await group.stop()
    rmSync(root, { recursive: true, force: true })
  })
  await Promise.all(group.members.map((member) => member.start()))
  return { group, root }
}

function dataDirectory({ root }: Started, member: TestMember): string {
  return join(root, member.id, `dledger-${member.id}`, 'data')
}

/** The log of a member as its files have it, up to `end`. */
function logOf(started: Started, member: TestMember, end: number): Buffer {
  const directory = dataDirectory(started, member)
  const files = readdirSync(directory).sort()
  return Buffer.concat(files.map((file) => readFileSync(join(directory, file)))).subarray(0, end)
}

function flip(started: Started, member: TestMember, position: number): void {
  const base = position - (position % SEGMENT_BYTES)
  const path = join(dataDirectory(started, member), String(base).padStart(20, '0'))
  const file = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(file, byte, 0, 1, position - base)
  writeSync(file, Buffer.from([byte[0]! ^ 16]), 0, 1, position - base)
  closeSync(file)
}

function isWhole(member: TestMember, end: number): boolean {
  return member.core?.damagedEntries === 0 && member.visible >= end
}

/** Where the last entry ends that starts below `position`. */
function lastEntryEnd(log: Buffer, position: number): number {
  const view = new DataView(log.buffer, log.byteOffset, log.length)
  let end = 0
  for (let at = 0; at < position; at += entrySize(view, at)) {
    if (entryMagic(view, at) !== MAGIC_BLANK) end = at + entrySize(view, at)
  }
  return end
}

/** Appends entries and resolves, with the log's end, when all running members show them. */
async function fill({ group }: Started, leader: TestMember, count: number): Promise<number> {
  let end = 0
  for (let at = 0; at < count; at++) {
    end = leader.append(Buffer.alloc(100 + ((at * 37) % 3000), at & 0xff))
    if (at % 20 !== 19 && at < count - 1) continue
    const reached = end
    leader.core?.replica.endTurn()
    await group.until(() => leader.visible >= reached)
  }
  await group.until(() => group.members.every((m) => m.core === undefined || m.visible >= end))
  return end
}

test('a damaged entry of a stopped member is a hole at its start, and filled by the others', async (t) => {
  const started = await startGroup(t)
  const { group } = started
  const leader = await group.leader()
  const end = await fill(started, leader, 300)
  const expected = logOf(started, leader, end)
  const victim = group.members.find((member) => member !== leader)!
  await victim.kill()
  for (const position of [end - 5, end - 9000, end - 40_000]) flip(started, victim, position)
  await victim.start()
  await group.until(() => victim.core?.damagedEntries === 0 && victim.visible >= end)
  assert.ok(logOf(started, victim, end).equals(expected))
  assert.ok(victim.log.some((line) => /does not vote/.test(line)))
  assert.ok(victim.log.some((line) => /everything again/.test(line)))
})

test('a member whose damaged entry opens a segment acknowledges up to the entry before', async (t) => {
  const started = await startGroup(t)
  const { group } = started
  const leader = await group.leader()
  const end = await fill(started, leader, 300)
  const expected = logOf(started, leader, end)
  for (const member of group.members) await member.kill()
  const victim = group.members[0]!
  flip(started, victim, SEGMENT_BYTES + 60)
  await victim.start()
  const { core } = victim
  assert.ok(core !== undefined)
  const before = lastEntryEnd(expected, SEGMENT_BYTES)
  assert.ok(before < SEGMENT_BYTES, 'a filler follows')
  assert.equal(core.replica.raft.status().healing?.soundPosition, before)
  assert.ok(core.arena.committed <= before)
  for (const member of group.members.slice(1)) await member.start()
  await group.until(() => group.members.every((member) => isWhole(member, end)))
  assert.equal(core.replica.raft.status().healing, null)
  assert.ok(logOf(started, victim, end).equals(expected))
})

test('a pass over a running member finds what rotted, and the others fill it', async (t) => {
  const started = await startGroup(t)
  const { group } = started
  const leader = await group.leader()
  const end = await fill(started, leader, 1500)
  const expected = logOf(started, leader, end)
  for (const [at, member] of group.members.entries()) {
    for (let place = 0; place < 5; place++) {
      flip(started, member, Math.floor((end / 5) * place) + at * 20_011)
    }
  }
  await Promise.all(group.members.map((member) => member.scrub()))
  await group.until(() => group.members.every((member) => member.core?.damagedEntries === 0))
  for (const member of group.members) assert.ok(logOf(started, member, end).equals(expected))
})

test('a damaged entry that retention deletes is not asked for any more', async (t) => {
  const started = await startGroup(t)
  const { group } = started
  const leader = await group.leader()
  // More than its memory holds.
  await fill(started, leader, 1500)
  const [member, ...others] = group.members as [TestMember, ...TestMember[]]
  for (const other of others) await other.kill()
  flip(started, member, 60)
  await member.scrub()
  const { core } = member
  assert.equal(core?.damagedEntries, 1)
  const { position, index } = core.replica.committedBoundary
  core.trim(SEGMENT_BYTES, { position, index })
  await group.until(() => core.replica.raft.status().firstPosition === SEGMENT_BYTES)
  assert.equal(core.damagedEntries, 0)
})

test('nothing is deleted by an end that is not on the disk yet', async (t) => {
  const started = await startGroup(t)
  const { group } = started
  const leader = await group.leader()
  await fill(started, leader, 1500)
  const core = leader.core!
  const { position, index } = core.replica.committedBoundary
  const seen = core.arena.committed
  core.arena.committed = SEGMENT_BYTES
  core.trim(SEGMENT_BYTES, { position, index })
  core.arena.committed = seen
  core.endTurn()
  await leader.scrub()
  assert.equal(core.replica.raft.status().firstPosition, 0)
  core.trim(SEGMENT_BYTES, { position, index })
  await group.until(() => core.replica.raft.status().firstPosition === SEGMENT_BYTES)
})

test('a leader repairs itself before it serves a member that lags', async (t) => {
  const started = await startGroup(t)
  const { group } = started
  const leader = await group.leader()
  const victim = group.members.find((member) => member !== leader)!
  const before = await fill(started, leader, 20)
  await victim.kill()
  // More than its memory holds.
  const end = await fill(started, leader, 1500)
  for (const position of [before + 700, before + 90_000]) flip(started, leader, position)
  const other = group.members.find((member) => member !== leader && member !== victim)!
  const expected = logOf(started, other, end)
  await victim.start()
  await group.until(() => victim.visible >= end && leader.core?.damagedEntries === 0)
  assert.ok(leader.leading, 'it leads on')
  for (const member of group.members) assert.ok(logOf(started, member, end).equals(expected))
})

test('two members damaged in different places heal each other, with nobody leading', async (t) => {
  const started = await startGroup(t)
  const { group } = started
  const leader = await group.leader()
  const end = await fill(started, leader, 100)
  const expected = logOf(started, leader, end)
  for (const member of group.members) await member.kill()
  const [first, second, third] = group.members as [TestMember, TestMember, TestMember]
  flip(started, first, end - 700)
  flip(started, second, end - 20_000)
  await Promise.all([first.start(), second.start()])
  await group.leader()
  await third.start()
  await group.until(() => group.members.every((member) => isWhole(member, end)))
  for (const member of group.members) assert.ok(logOf(started, member, end).equals(expected))
})

test('an entry that is damaged on a majority is not made up: nobody leads without it', async (t) => {
  const started = await startGroup(t)
  const { group } = started
  const leader = await group.leader()
  const end = await fill(started, leader, 50)
  const expected = logOf(started, leader, end)
  for (const member of group.members) await member.kill()
  const [first, second, third] = group.members as [TestMember, TestMember, TestMember]
  for (const member of [first, second]) flip(started, member, end - 700)
  await Promise.all([first.start(), second.start()])
  await group.until(() => [first, second].every((m) => m.log.some((l) => /nobody who is/.test(l))))
  assert.ok(!first.leading && !second.leading)
  await third.start()
  await group.until(() => group.members.every((member) => isWhole(member, end)))
  for (const member of group.members) assert.ok(logOf(started, member, end).equals(expected))
})
