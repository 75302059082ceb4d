import { test } from 'node:test'
import fc from 'fast-check'
import { CrashFake } from './crash-fake.ts'

test('after any crash the log is a prefix that holds all that was durable', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
      const world = new CrashFake(seed)
      for (let life = 0; life < 6; life++) world.life(12)
    }),
    { numRuns: 120 },
  )
})
