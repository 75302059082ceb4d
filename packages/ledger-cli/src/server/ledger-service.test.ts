import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import { AppendError, TrimmedError } from '@ringledger/engine'
import fc from 'fast-check'
import type { Body } from '../wire/body.ts'
import { FakeLedger } from './ledger-fake.ts'
import { LedgerService, type ServiceAnswer } from './ledger-service.ts'

function serving(): {
  ledger: FakeLedger
  ask: (code: number, body: Body) => Promise<ServiceAnswer>
} {
  const ledger = new FakeLedger()
  const clients = new Map([
    ['n0', 'localhost:21911'],
    ['n1', 'localhost:21912'],
  ])
  const service = new LedgerService({ ledger, group: 'g1', selfId: 'n0', clients })
  return { ledger, ask: (code, body) => service.answer(code, body) }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64')

test('METADATA says who leads and where everybody is', async () => {
  const { ask } = serving()
  const { body } = await ask(50000, { group: 'g1', remoteId: 'n0' })
  assert.equal(body.code, 200)
  assert.equal(body.leaderId, 'n0')
  assert.deepEqual(body.peers, { n0: 'localhost:21911', n1: 'localhost:21912' })
  assert.equal((body.status as { role: string }).role, 'leader')
})

test('APPEND answers with index, position and term; of a batch with those of its last', async () => {
  const { ask } = serving()
  const one = await ask(50001, { group: 'g1', body: base64('hello') })
  const wanted = { code: 200, group: 'g1', localId: 'n0', term: 1, leaderId: 'n0', count: 1 }
  assert.deepEqual(one.body, { ...wanted, index: 0, pos: 0 })
  const batch = await ask(50001, { batchMsgs: [base64('a'), base64('b')] })
  assert.deepEqual(batch.body, { ...wanted, index: 2, pos: 102, count: 2 })
})

test('GET gives one entry, or as many as fit when a size is given', async () => {
  const { ledger, ask } = serving()
  for (const text of ['zero', 'one', 'two']) ledger.add(Buffer.from(text))
  const bodiesOf = ({ body }: ServiceAnswer): string[] =>
    (body.entries as { body: string }[]).map((entry) =>
      Buffer.from(entry.body, 'base64').toString(),
    )
  const single = await ask(50002, { beginIndex: 1 })
  assert.deepEqual(bodiesOf(single), ['one'])
  assert.equal(single.body.nextIndex, 2)
  const all = await ask(50002, { beginIndex: 0, maxSize: 1_000_000 })
  assert.deepEqual(bodiesOf(all), ['zero', 'one', 'two'])
  assert.equal(all.body.nextIndex, 3)
  const some = await ask(50002, { beginIndex: 0, maxSize: 7 })
  assert.deepEqual(bodiesOf(some), ['zero', 'one'])
  assert.equal(some.body.nextIndex, 2)
  const atLeastOne = await ask(50002, { beginIndex: 0, maxSize: 1 })
  assert.deepEqual(bodiesOf(atLeastOne), ['zero'])
})

test('GET passes entries that open a term', async () => {
  const { ledger, ask } = serving()
  for (const text of ['barrier', 'one', 'barrier']) ledger.add(Buffer.from(text))
  ledger.barriers.add(0).add(2)
  const single = await ask(50002, { beginIndex: 0 })
  assert.deepEqual([single.body.code, single.body.entries], [200, []])
  assert.match(single.remark ?? '', /index 0 opens the term/)
  const rest = await ask(50002, { beginIndex: 2, maxSize: 100 })
  assert.deepEqual([rest.body.entries, rest.body.nextIndex, rest.remark], [[], 3, undefined])
})

test('GET outside of the log says where it ends', async () => {
  const { ledger, ask } = serving()
  const empty = await ask(50002, { beginIndex: 0 })
  assert.deepEqual([empty.body.code, empty.remark], [410, 'the log is empty'])
  ledger.add(Buffer.from('x'))
  const beyond = await ask(50002, { beginIndex: 7 })
  assert.deepEqual([beyond.body.code, beyond.remark], [410, 'the log ends at index 0'])
  assert.equal((await ask(50002, { beginIndex: -1 })).body.code, 410)
  assert.equal((await ask(50002, {})).body.code, 410)
  ledger.errors.set('readIndex', new TrimmedError(5))
  const trimmed = await ask(50002, { beginIndex: 0 })
  assert.deepEqual([trimmed.body.code, trimmed.body.firstIndex], [419, 5])
})

test('GET waits for the next entry, and no longer than this node leads', async () => {
  const { ledger, ask } = serving()
  const waiting = ask(50002, { beginIndex: 0, maxSize: 10, waitMs: 30_000 })
  await ledger.readIndex()
  ledger.add(Buffer.from('come'))
  assert.equal(((await waiting).body.entries as unknown[]).length, 1)
  const late = ask(50002, { beginIndex: 1, maxSize: 10, waitMs: 1 })
  assert.equal((await late).body.code, 410)
  const deposed = ask(50002, { beginIndex: 1, maxSize: 10, waitMs: 30_000 })
  await new Promise((resolve) => setImmediate(resolve))
  ledger.stepDown('n1')
  const { body } = await deposed
  assert.deepEqual([body.code, body.leaderId, body.mayCommit], [404, 'n1', false])
})

test('a refusal says whether the write may be in the log', async () => {
  const { ledger, ask } = serving()
  const cases: [Error, number, boolean][] = [
    [new AppendError('NOT_LEADER', 'ask n1', false, 'n1'), 404, false],
    [new AppendError('LEADERSHIP_LOST', 'lost', true), 501, true],
    [new AppendError('HALTED', 'before it was ordered', false), 414, false],
    [new AppendError('HALTED', 'on its way', true), 414, true],
    [new AppendError('DISK_FULL', 'full', false), 415, false],
    [new AppendError('BUSY', 'busy', false), 503, false],
    [new AppendError('HANDING_OVER', 'handing over', false), 506, false],
    [new LedgerError('TOO_LARGE', 'too large'), 411, false],
    [new Error('a bug'), 500, true],
  ]
  for (const [error, code, mayCommit] of cases) {
    ledger.errors.set('append', error)
    const { body, remark } = await ask(50001, { body: base64('x') })
    assert.deepEqual([body.code, body.mayCommit], [code, mayCommit], error.message)
    assert.match(remark ?? '', new RegExp(error.message))
  }
  ledger.errors.set('append', cases[0]![0])
  assert.equal((await ask(50001, { body: base64('x') })).body.leaderId, 'n1')
})

test('requests that make no sense are refused before anything is done', async () => {
  const { ledger, ask } = serving()
  const wrong: [number, Body, number][] = [
    [50001, {}, 411],
    [50001, { body: 'not base64!' }, 411],
    [50001, { batchMsgs: [] }, 420],
    [50001, { batchMsgs: ['AA==', 7] }, 411],
    [50001, { body: base64('x'), group: 'other' }, 400],
    [50001, { body: base64('x'), remoteId: 'n1' }, 401],
    [50002, { beginIndex: 'zero' }, 411],
    [51001, {}, 303],
    [51004, {}, 303],
    [1, {}, 303],
  ]
  for (const [code, request, expected] of wrong) {
    const { body, remark } = await ask(code, request)
    assert.deepEqual([body.code, body.mayCommit], [expected, false], JSON.stringify(request))
    assert.notEqual(remark, undefined)
  }
  assert.equal(ledger.entries.length, 0)
})

test('leadership goes to a member, in the term that the caller means', async () => {
  const { ledger, ask } = serving()
  const request = { transferId: 'n0', transfereeId: 'n1', term: 1 }
  assert.equal((await ask(51005, { ...request, term: 7 })).body.code, 407)
  assert.equal((await ask(51005, { ...request, transfereeId: 'n9' })).body.code, 401)
  assert.equal((await ask(51005, { ...request, transferId: 'n1' })).body.code, 411)
  assert.equal(ledger.transferredTo, undefined)
  assert.equal((await ask(51005, request)).body.code, 200)
  assert.equal(ledger.transferredTo, 'n1')
  ledger.errors.set('transfer', new LedgerError('TIMEOUT', 'nobody took it'))
  assert.equal((await ask(51005, request)).body.code, 418)
  ledger.stepDown('n1')
  const { body } = await ask(51005, request)
  assert.deepEqual([body.code, body.leaderId], [404, 'n1'])
})

test('whatever a request holds, there is an answer, and nothing unsure', async () => {
  const { ask } = serving()
  const name = fc.constantFrom('body', 'batchMsgs', 'beginIndex', 'maxSize', 'waitMs', 'term', 'x')
  const value = fc.oneof(fc.jsonValue(), fc.base64String(), fc.nat({ max: 3 }))
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(50000, 50001, 50002, 51005, 51004, -1),
      fc.dictionary(name, value, { noNullPrototype: true }),
      async (code, request) => {
        const { body } = await ask(code, { ...request, waitMs: 0 })
        assert.equal(typeof body.code, 'number')
        assert.notEqual(body.code, 500)
        if (body.code !== 200) assert.equal(body.mayCommit, false)
      },
    ),
    { numRuns: 500 },
  )
})
