/** A disk that runs full under the store and has space again, over a log in memory. */
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { defaultTopicConfig } from '../state/configs.ts'
import { assertSame, drain, inDirectory, openStore, World } from './store-world-fake.ts'

/** Longer than the store waits between two looks for space. */
const RETRY_MS = 1_500
const { writeSync, openSync } = fs
type Lack = 'none' | 'bytes' | 'names'
let lack: Lack = 'none'

function noSpace(): never {
  throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
}

fs.writeSync = ((...args: Parameters<typeof writeSync>) =>
  lack === 'bytes' ? noSpace() : writeSync(...args)) as typeof writeSync
fs.openSync = (path, flags, mode) =>
  lack === 'names' && String(flags).startsWith('w') ? noSpace() : openSync(path, flags, mode)
syncBuiltinESMExports()
after(() => {
  Object.assign(fs, { writeSync, openSync })
  syncBuiltinESMExports()
})

const lacks = fc.constantFrom<Lack>('none', 'bytes', 'names')
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      topic: fc.constantFrom('A', 'B', 'C'),
      queueId: fc.nat(2),
      count: fc.integer({ min: 1, max: 100 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('topic' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('duty' as const), entries: fc.nat(300) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('tick' as const), ms: fc.nat(2_000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('disk' as const), lack: lacks }) },
)

test('what a full disk stopped is all there when space returns, also for the next start', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 50 }), (steps) => {
      inDirectory((directory) => {
        const world = new World()
        const { store } = openStore(directory, world)
        let nowMs = 0
        try {
          for (const action of steps) {
            if (action.kind === 'disk') lack = action.lack
            else if (action.kind === 'duty') store.duty(action.entries)
            else if (action.kind === 'topic') {
              world.record({ kind: 'topic', config: defaultTopicConfig('A', 4) })
            } else if (action.kind === 'tick') {
              nowMs += action.ms
              store.tick(nowMs, true)
            } else {
              for (let sent = 0; sent < action.count; sent++) {
                world.send(action.topic, action.queueId, 20)
              }
            }
          }
        } finally {
          lack = 'none'
        }
        nowMs += RETRY_MS
        while (store.tick(nowMs, true));
        drain(store)
        assertSame(store, world)
        store.close()
        const again = openStore(directory, world)
        assert.equal(again.store.rebuilding, false)
        drain(again.store)
        assertSame(again.store, world)
        again.store.close()
      })
    }),
    { numRuns: 15 },
  )
})

test('lack of space is told once, and its end', () => {
  inDirectory((directory) => {
    const world = new World()
    const { store, seen } = openStore(directory, world)
    world.send('A', 0, 20)
    lack = 'bytes'
    try {
      store.duty()
      for (let nowMs = RETRY_MS; nowMs < 5 * RETRY_MS; nowMs += RETRY_MS) store.tick(nowMs, true)
    } finally {
      lack = 'none'
    }
    const told = (): string[] => seen.lines.filter((line) => line.includes('space'))
    assert.equal(told().length, 1)
    assert.match(told()[0] ?? '', /wait for space: .*no space left/)
    store.tick(9 * RETRY_MS, true)
    assert.equal(told().at(-1), 'queues, index and tables have space again')
    store.close()
  })
})
