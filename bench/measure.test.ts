import assert from 'node:assert/strict'
import { test } from 'node:test'
import { measure, QUICK } from './measure.ts'
import type { Operation } from './micro-bench.ts'

test('an operation with a wrong result is not measured', async () => {
  let runs = 0
  const operation: Operation = {
    name: 'wrong',
    batch: 1,
    run: () => {
      runs++
    },
    check: () => assert.fail('the result is wrong'),
  }
  await assert.rejects(measure('x', operation, QUICK), /the result is wrong/)
  assert.equal(runs, 0)
})

test('an operation that fails while it is measured gives no figure', async () => {
  let runs = 0
  const operation: Operation = {
    name: 'breaks',
    batch: 1,
    run: () => {
      if (++runs === 2) throw new Error('broke on the second run')
    },
    check: () => {},
  }
  await assert.rejects(measure('x', operation, QUICK), /broke on the second run/)
})

test('input is made before each sample, outside of the time taken, and results seen twice', async () => {
  const seen = { prepared: 0, run: 0, checked: 0 }
  const operation: Operation = {
    name: 'counts',
    batch: 8,
    bytes: 1000,
    prepare: () => {
      seen.prepared += 8
    },
    run: (count) => {
      seen.run += count
      assert.equal(seen.run, seen.prepared)
    },
    check: () => {
      seen.checked++
    },
  }
  const figures = await measure('x', operation, QUICK)
  assert.equal(seen.checked, 2)
  assert.ok(figures.samples >= QUICK.minSamples)
  assert.equal(seen.run, figures.samples * 8)
  const megabytes = (figures.operationsPerSecond * 1000) / 1e6
  assert.ok(Math.abs(megabytes - figures.megabytesPerSecond!) < 1e-6 * megabytes)
})
