import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClaimRefusal, type Replica } from '@ringledger/consensus'
import fc from 'fast-check'
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import type { Appended } from './ledger.ts'
import { AppendError } from './ledger-errors.ts'
import { allocateRings, type LedgerRings } from './ledger-frames.ts'
import { RequestPort } from './request-port.ts'
import { RequestQueue } from './request-queue.ts'

interface Laid {
  readonly index: number
  readonly term: number
  readonly position: number
  readonly body: string
}

/** The log behind the rings: lays bodies, is busy or commits when told to. */
class LogFake {
  readonly bytes: Buffer = Buffer.alloc(1 << 16)
  readonly raft = { serving: true }
  leading = true
  term = 1
  committedPosition = 0
  /** Bodies that may be laid until the next turn. */
  room = Number.POSITIVE_INFINITY
  laid: Laid[] = []
  readonly asked: number[] = []
  #claimed = 0

  get endPosition(): number {
    const last = this.laid.at(-1)
    return last === undefined ? 0 : last.position + 48 + Buffer.byteLength(last.body, 'latin1')
  }
  get claimedPosition(): number {
    return this.endPosition
  }
  get end(): { lastIndex: number; count: number } {
    return { lastIndex: this.laid.length - 1, count: this.laid.length }
  }

  claim(bodyBytes: number): number {
    if (this.room === 0) return ClaimRefusal.BUSY
    this.#claimed = bodyBytes
    return 0
  }

  seal(): void {
    this.room -= 1
    const body = this.bytes.toString('latin1', 0, this.#claimed)
    const { laid, term, endPosition: position } = this
    laid.push({ index: laid.length, term, position, body })
  }

  takeBack({ count }: { count: number }): void {
    this.laid.length = count
  }

  readIndex(id: number): void {
    this.asked.push(id)
  }
}

function makeRings(log: LogFake): { port: RequestPort; queue: RequestQueue; committed: Seen } {
  const rings: LedgerRings = allocateRings(4096)
  const committed: Seen = { position: 0, index: -1 }
  const port = new RequestPort({
    requests: new SpscRing(rings.requests),
    answers: new SpscRing(rings.answers),
    bell: new Doorbell(rings.bell),
    replica: log as unknown as Replica,
    leaderNumber: () => 1,
    committed,
    syncBeforeAck: true,
  })
  const queue = new RequestQueue({
    requests: new SpscRing(rings.requests),
    answers: new SpscRing(rings.answers),
    coreBell: new Doorbell(Doorbell.allocate()),
    memberIds: ['n0', 'n1'],
    maxBodyBytes: 4096 - 48,
  })
  return { port, queue, committed }
}

interface Seen {
  position: number
  index: number
}

/** A turn of the consensus thread and one of the importer. */
async function turn(port: RequestPort, queue: RequestQueue): Promise<void> {
  await new Promise(setImmediate)
  while (port.drain());
  port.complete()
  port.flush(false)
  queue.drain()
  await new Promise(setImmediate)
}

function commit(log: LogFake, committed: Seen, end: Laid | undefined): void {
  if (end === undefined) return
  committed.position = end.position + 48 + Buffer.byteLength(end.body, 'latin1')
  committed.index = end.index
  log.committedPosition = committed.position
}

const body = fc.string({ unit: 'binary-ascii', maxLength: 40 })
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('append' as const), body }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      bodies: fc.array(body, { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('room' as const), room: fc.nat(5) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('commit' as const), part: fc.nat(100) }) },
)

test('whatever the mix, every append is answered once, with its own place, batches whole', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const log = new LogFake()
      const { port, queue, committed } = makeRings(log)
      const asked: { bodies: readonly string[]; done: Promise<Appended[]> }[] = []
      for (const one of steps) {
        if (one.kind === 'append') {
          const done = queue.append(Buffer.from(one.body, 'latin1'), undefined)
          asked.push({ bodies: [one.body], done: done.then((place) => [place]) })
        } else if (one.kind === 'batch') {
          const bodies = one.bodies.map((text) => Buffer.from(text, 'latin1'))
          asked.push({ bodies: one.bodies, done: queue.appendBatch(bodies) })
        } else if (one.kind === 'turn') await turn(port, queue)
        else if (one.kind === 'room') log.room = one.room
        else commit(log, committed, log.laid[Math.floor((log.laid.length * one.part) / 101)])
        log.committedPosition = Math.max(log.committedPosition, committed.position)
      }
      log.room = Number.POSITIVE_INFINITY
      await turn(port, queue)
      commit(log, committed, log.laid.at(-1))
      await turn(port, queue)
      const places = await Promise.all(asked.map(({ done }) => done))
      const expected = asked.flatMap(({ bodies }) => bodies)
      assert.deepEqual(
        log.laid.map((laid) => laid.body),
        expected,
      )
      assert.deepEqual(
        places.flat(),
        log.laid.map(({ index, term, position }) => ({ index, term, position })),
      )
    }),
    { numRuns: 150 },
  )
})

test('a leader that goes answers what was committed and leaves the rest open', async () => {
  const log = new LogFake()
  const { port, queue, committed } = makeRings(log)
  const first = queue.append(Buffer.from('first'), undefined)
  const second = queue.append(Buffer.from('second'), undefined)
  await turn(port, queue)
  commit(log, committed, log.laid[0])
  log.leading = false
  port.onRole()
  const third = queue.append(Buffer.from('third'), undefined)
  const settled = Promise.allSettled([first, second, third])
  await turn(port, queue)
  const [one, two, three] = await settled
  assert.ok(one?.status === 'fulfilled' && one.value.index === 0)
  assert.ok(two?.status === 'rejected' && three?.status === 'rejected')
  assert.ok(two.reason instanceof AppendError && three.reason instanceof AppendError)
  assert.deepEqual([two.reason.code, two.reason.mayCommit], ['LEADERSHIP_LOST', true])
  assert.deepEqual(
    [three.reason.code, three.reason.mayCommit, three.reason.leaderId],
    ['NOT_LEADER', false, 'n1'],
  )
})

test('reads of a turn share a round, and wait until readers here see what they must', async () => {
  const log = new LogFake()
  const { port, queue, committed } = makeRings(log)
  const done: number[] = []
  const reads = [0, 1, 2].map((at) => queue.read().then(() => done.push(at)))
  await turn(port, queue)
  assert.deepEqual(log.asked, [1])
  const late = queue.read().then(() => done.push(3))
  await turn(port, queue)
  assert.deepEqual(log.asked, [1, 2])
  port.onReadIndex(1, 100)
  await turn(port, queue)
  assert.deepEqual(done, [])
  committed.position = 100
  await turn(port, queue)
  await Promise.all(reads)
  assert.deepEqual(done, [0, 1, 2])
  port.onReadIndex(2, -1)
  const refused = assert.rejects(late, { code: 'NOT_LEADER', leaderId: 'n1' })
  await turn(port, queue)
  await refused
})

test('a new leader asks for reads only once it serves', async () => {
  const log = new LogFake()
  log.raft.serving = false
  const { port, queue } = makeRings(log)
  const read = queue.read()
  await turn(port, queue)
  assert.deepEqual(log.asked, [])
  log.raft.serving = true
  await turn(port, queue)
  assert.deepEqual(log.asked, [1])
  port.onReadIndex(1, 0)
  await turn(port, queue)
  assert.deepEqual(await read, { index: -1, position: 0 })
})

test('what was never answered is settled at the end, by whether it may commit', async () => {
  const log = new LogFake()
  const { queue } = makeRings(log)
  const sent = queue.append(Buffer.from('sent'), undefined)
  const read = queue.read()
  const closed = (mayCommit: boolean): AppendError => new AppendError('CLOSED', 'over', mayCommit)
  queue.end(closed)
  const settled = Promise.allSettled([sent, read, queue.append(Buffer.from('late'), undefined)])
  queue.abandon()
  assert.deepEqual(
    (await settled).map((one) => one.status === 'rejected' && one.reason.mayCommit),
    [true, false, false],
  )
})
