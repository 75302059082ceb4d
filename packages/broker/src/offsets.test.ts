import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomBetween, seededRandom } from '@ringledger/base'
import { ConsumerOffsets, OFFSETS_FLUSH_MS } from './offsets.ts'
import type { StateRecord } from './state/records.ts'
import { ReplicatedState } from './state/replicated-state.ts'
import type { ChangeFailure, OnChange, StateChanges } from './state-changes.ts'

const FAILED: ChangeFailure = { code: 'BUSY', message: 'no' }

/** A log of state records that applies them when told. */
class RecordLog {
  readonly state = new ReplicatedState()
  readonly records: StateRecord[] = []
  refuses = false
  readonly #waiting: { record: StateRecord; onDone: OnChange }[] = []
  offsets!: ConsumerOffsets
  #position = 0

  readonly changes = {
    propose: (record: StateRecord, onDone: OnChange): ChangeFailure => {
      if (this.refuses) return FAILED
      this.#waiting.push({ record, onDone })
      return undefined
    },
  } as unknown as StateChanges

  applyOne(failure?: ChangeFailure): boolean {
    const next = this.#waiting.shift()
    if (next === undefined) return false
    if (failure === undefined) {
      this.records.push(next.record)
      this.state.apply(next.record, this.#position, ++this.#position)
      this.offsets.onRecord(next.record)
    }
    next.onDone(failure)
    return true
  }

  applyAll(): void {
    while (this.applyOne());
  }
}

function setUp(): { log: RecordLog; offsets: ConsumerOffsets } {
  const log = new RecordLog()
  const offsets = new ConsumerOffsets(log.state, log.changes)
  log.offsets = offsets
  return { log, offsets }
}

test('an update is seen at once and written after the flush time, many in one record', () => {
  const { log, offsets } = setUp()
  for (let queueId = 0; queueId < 50; queueId++) offsets.update('T', 'G', queueId, 5, 1_000)
  assert.equal(offsets.query('T', 'G', 7), 5)
  assert.equal(offsets.nextFlushMs, 1_000 + OFFSETS_FLUSH_MS)
  assert.equal(offsets.flush(1_000 + OFFSETS_FLUSH_MS - 1), false)
  assert.equal(offsets.flush(1_000 + OFFSETS_FLUSH_MS), true)
  assert.equal(offsets.nextFlushMs, Number.POSITIVE_INFINITY)
  log.applyAll()
  assert.equal(log.records.length, 1)
  assert.equal(log.state.offset('T', 'G', 49), 5)
  assert.equal(offsets.query('T', 'G', 7), 5)
})

test('an unchanged offset is not written again; a smaller one is', () => {
  const { log, offsets } = setUp()
  offsets.update('T', 'G', 0, 5, 0)
  offsets.flush(OFFSETS_FLUSH_MS)
  log.applyAll()
  offsets.update('T', 'G', 0, 5, 1_000)
  assert.equal(offsets.nextFlushMs, Number.POSITIVE_INFINITY)
  offsets.update('T', 'G', 0, 3, 1_000)
  offsets.flush(2_000)
  log.applyAll()
  assert.equal(log.state.offset('T', 'G', 0), 3)
})

test('an update during its record keeps the newer value, before and after', () => {
  const { log, offsets } = setUp()
  offsets.update('T', 'G', 0, 1, 0)
  offsets.flush(1_000)
  offsets.update('T', 'G', 0, 2, 1_000)
  offsets.flush(2_000)
  log.applyOne()
  assert.equal(offsets.query('T', 'G', 0), 2)
  log.applyOne()
  assert.equal(offsets.query('T', 'G', 0), 2)
  assert.equal(log.state.offset('T', 'G', 0), 2)
})

test('a synchronous commit is answered when its value is applied', () => {
  const { log, offsets } = setUp()
  const outcomes: ChangeFailure[] = []
  offsets.update('T', 'G', 0, 1, 0)
  offsets.sync((failure) => outcomes.push(failure), 0)
  offsets.flush(1_000)
  offsets.sync((failure) => outcomes.push(failure), 1_000)
  offsets.flush(2_000)
  assert.ok(outcomes.length < 1)
  log.applyAll()
  assert.ok(outcomes.length > 1 && !outcomes.some((outcome) => outcome !== undefined))
  offsets.sync((failure) => outcomes.push(failure), 3_000)
  offsets.flush(4_000)
  assert.ok(outcomes.length > 2)
})

test('what could not be written is tried again', () => {
  const { log, offsets } = setUp()
  offsets.update('T', 'G', 0, 1, 0)
  log.refuses = true
  assert.equal(offsets.flush(1_000), false)
  log.refuses = false
  assert.ok(Number.isFinite(offsets.nextFlushMs))
  offsets.flush(2_000)
  log.applyOne(FAILED)
  offsets.flush(3_000)
  log.applyAll()
  assert.equal(log.state.offset('T', 'G', 0), 1)
})

test('a node that leads no longer forgets what was not written, and says so', () => {
  const { offsets } = setUp()
  const outcomes: ChangeFailure[] = []
  offsets.update('T', 'G', 0, 1, 0)
  offsets.sync((failure) => outcomes.push(failure), 0)
  offsets.stepDown()
  assert.equal(offsets.query('T', 'G', 0), -1)
  assert.equal(outcomes[0]?.code, 'LEADERSHIP_LOST')
})

test('a reset counts against updates until the consumer was told', () => {
  const { log, offsets } = setUp()
  offsets.update('T', 'G', 0, 9, 0)
  assert.equal(
    offsets.reset('T', 'G', [[0, 4]], () => {}),
    undefined,
  )
  offsets.update('T', 'G', 0, 10, 0)
  offsets.flush(1_000)
  log.applyAll()
  assert.equal(offsets.query('T', 'G', 0), 4)
  assert.ok(offsets.resetPending('T', 'G', 0))
  assert.equal(offsets.takeReset('T', 'G', 0), 4)
  assert.equal(offsets.takeReset('T', 'G', 0), undefined)
  offsets.update('T', 'G', 0, 5, 2_000)
  assert.equal(offsets.query('T', 'G', 0), 5)
})

test('on a follower a later commit of the consumer ends a reset', () => {
  const { log, offsets } = setUp()
  const reset: StateRecord = { kind: 'resetOffset', topic: 'T', group: 'G', entries: [[0, 4]] }
  offsets.onRecord(reset)
  assert.ok(offsets.resetPending('T', 'G', 0))
  offsets.onRecord({ kind: 'offsets', entries: [['T', 'G', 0, 6]] })
  assert.equal(offsets.resetPending('T', 'G', 0), false)
  assert.equal(log.records.length, 0)
})

test('random updates, failures and orders end with the last value everywhere', () => {
  for (let seed = 1; seed < 40; seed++) {
    const random = seededRandom(seed)
    const { log, offsets } = setUp()
    const last = new Map<number, number>()
    let nowMs = 0
    for (let step = 0; step < 300; step++) {
      const queueId = randomBetween(random, 0, 5)
      const offset = randomBetween(random, 0, 100)
      offsets.update('T', 'G', queueId, offset, nowMs)
      last.set(queueId, offset)
      for (const [id, value] of last) assert.equal(offsets.query('T', 'G', id), value)
      nowMs += randomBetween(random, 0, 150)
      log.refuses = random() < 0.2
      offsets.flush(nowMs)
      if (random() < 0.5) log.applyOne(random() < 0.2 ? FAILED : undefined)
    }
    log.refuses = false
    for (let round = 0; round < 10; round++) {
      nowMs += 1_000
      offsets.flush(nowMs)
      log.applyAll()
    }
    for (const [id, value] of last) assert.equal(log.state.offset('T', 'G', id), value)
    assert.equal(offsets.nextFlushMs, Number.POSITIVE_INFINITY)
  }
})
