import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { allocateRings } from './ledger-frames.ts'
import { LedgerHandle } from './ledger-handle.ts'
import type { LedgerOrder } from './ledger-notes.ts'
import { settingsOf } from './ledger-options.ts'
import {
  allocateLedgerState,
  LedgerStateReader,
  LedgerStateWriter,
  StateWord,
} from './ledger-state.ts'
import type { LogBlocks } from './log-blocks.ts'
import { LogReads } from './log-reads.ts'
import { RequestQueue } from './request-queue.ts'
import { ROLES } from './state-names.ts'

const MEMBERS = ['n0', 'n1'].map((id, at) => ({ id, host: '127.0.0.1', port: 1 + at }))

/** A handle whose threads are played by the test. */
class Played {
  readonly orders: LedgerOrder[] = []
  readonly lines: string[] = []
  readonly handle: LedgerHandle
  readonly state: LedgerStateWriter
  terminated = 0
  #endThreads: () => void = () => {}

  constructor() {
    const settings = settingsOf({ directory: '/nowhere', members: MEMBERS })
    const shared = allocateLedgerState(1)
    this.state = new LedgerStateWriter(shared)
    this.state.set(StateWord.role, ROLES.indexOf('leader'))
    this.state.set(StateWord.committedIndex, 7)
    this.state.publish()
    const state = new LedgerStateReader(shared)
    const rings = allocateRings(settings.maxEntryBytes)
    const blocks = { close: () => {} } as unknown as LogBlocks
    const bell = new Doorbell(rings.bell)
    this.handle = new LedgerHandle({
      settings,
      log: (_level, line) => this.lines.push(line),
      queue: new RequestQueue({
        requests: new SpscRing(rings.requests),
        answers: new SpscRing(rings.answers),
        coreBell: new Doorbell(Doorbell.allocate()),
        memberIds: ['n0', 'n1'],
        maxBodyBytes: 1000,
      }),
      reads: new LogReads(blocks, state, () => this.handle.wantCommits()),
      state,
      bell,
      durablePosition: () => 0,
      order: (order) => this.orders.push(order),
      ended: new Promise((resolve) => {
        this.#endThreads = resolve
      }),
      terminate: async () => {
        this.terminated += 1
      },
    })
  }

  async close(): Promise<void> {
    const closed = this.handle.close()
    this.handle.onNote({ kind: 'closed' })
    this.#endThreads()
    await closed
  }
}

test('a thread that dies takes every promise with it, and the ledger says why', async () => {
  const played = new Played()
  const { handle } = played
  const reasons: string[] = []
  handle.subscribe({ onHalted: (reason) => reasons.push(reason) })
  const settled = Promise.allSettled([
    handle.append(Buffer.from('a')),
    handle.readIndex(),
    handle.trimPrefix(3),
    handle.transferLeadership('n1'),
  ])
  await new Promise(setImmediate)
  handle.onThreadFailed('the IO thread: it ended with 1')
  handle.onThreadFailed('the consensus thread: it ended with 1')
  const codes = (await settled).map((one) => {
    return one.status === 'rejected' && [one.reason.code, one.reason.mayCommit ?? false]
  })
  const halted = (mayCommit: boolean): [string, boolean] => ['HALTED', mayCommit]
  assert.deepEqual(codes, [halted(true), halted(false), halted(false), halted(false)])
  assert.deepEqual(reasons, ['the IO thread: it ended with 1'])
  const { role, failure, disk } = handle.status()
  assert.deepEqual([role, disk], ['halted', 'ok'])
  assert.deepEqual(failure, { file: '', error: 'the IO thread: it ended with 1' })
  await assert.rejects(handle.append(Buffer.from('b')), { code: 'HALTED', mayCommit: false })
  await assert.rejects(handle.waitForLeader(), { code: 'HALTED' })
  await handle.close()
  assert.equal(played.terminated, 1)
  assert.ok(!played.orders.some(({ kind }) => kind === 'close'))
})

test('one transfer at a time, to a member, from the leader', async () => {
  const played = new Played()
  const { handle } = played
  const first = handle.transferLeadership('n1')
  await assert.rejects(handle.transferLeadership(), { code: 'BUSY' })
  await assert.rejects(handle.transferLeadership('n9'), { code: 'BAD_REQUEST' })
  await assert.rejects(handle.transferLeadership('n0'), { code: 'BAD_REQUEST' })
  handle.onNote({ kind: 'transferred', done: false, reason: 'n1 is not connected' })
  await assert.rejects(first, { code: 'TIMEOUT', message: /n1 is not connected/ })
  const second = handle.transferLeadership()
  handle.onNote({ kind: 'transferred', done: true, reason: 'handed over' })
  await second
  assert.deepEqual(played.orders, [
    { kind: 'transfer', targetId: 'n1' },
    { kind: 'transfer', targetId: undefined },
  ])
  played.state.set(StateWord.role, ROLES.indexOf('follower'))
  played.state.set(StateWord.leader, 1)
  played.state.publish()
  await assert.rejects(handle.transferLeadership(), { code: 'NOT_LEADER', leaderId: 'n1' })
  assert.equal(await handle.waitForLeader(), 'n1')
  await played.close()
})

test('trims follow one another', async () => {
  const played = new Played()
  const { handle } = played
  const trims = [handle.trimPrefix(2), handle.trimPrefix(5)]
  const beyond = assert.rejects(handle.trimPrefix(8), { code: 'BAD_REQUEST' })
  await new Promise(setImmediate)
  assert.deepEqual(played.orders, [{ kind: 'trim', throughIndex: 2 }])
  handle.onNote({ kind: 'trimmed', firstIndex: 1 })
  await new Promise(setImmediate)
  assert.deepEqual(played.orders.at(-1), { kind: 'trim', throughIndex: 5 })
  handle.onNote({ kind: 'trimmed', firstIndex: 4 })
  assert.deepEqual(await Promise.all(trims), [{ firstIndex: 1 }, { firstIndex: 4 }])
  await beyond
  await played.close()
})

test('every note is counted as taken, and reaches whom it concerns', async () => {
  const played = new Played()
  const { handle } = played
  const seen: unknown[] = []
  const stop = handle.subscribe({
    onRole: (event) => seen.push(event),
    onDiskFull: (full) => seen.push(full),
    onSnapshotNeeded: (firstIndex) => seen.push(firstIndex),
  })
  const role = { role: 'preCandidate', term: 3, leaderId: '', reason: 'silence' }
  handle.onNote({ kind: 'role', ...role })
  handle.onNote({ kind: 'diskFull', full: true })
  handle.onNote({ kind: 'snapshotNeeded', firstIndex: 40 })
  handle.onNote({ kind: 'log', level: 'info', line: 'a line' })
  stop()
  handle.onNote({ kind: 'diskFull', full: false })
  const event = { role: 'candidate', term: 3, leaderId: undefined, reason: 'silence' }
  assert.deepEqual(seen, [event, true, 40])
  assert.deepEqual(played.lines, ['a line'])
  assert.equal(played.state.notesTaken, 5)
  await played.close()
  await played.handle.close()
})
