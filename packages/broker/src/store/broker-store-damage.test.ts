/** Rotten bits in what the store derives from the log. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { defaultTopicConfig } from '../state/configs.ts'
import { assertSame, drain, inDirectory, openStore, World } from './store-world-fake.ts'

describe('a damaged broker store', () => {
  test('one flipped bit in any consume queue is repaired, at the start or by the scrub', () => {
    inDirectory((directory) => {
      const world = new World()
      for (let count = 0; count < 120; count++) {
        world.send(count % 2 ? 'A' : 'B', count % 3, 40, count % 10 === 3 ? 5 : 1)
      }
      const { store } = openStore(directory, world)
      drain(store)
      store.close()
      const parent = join(directory, 'consumequeue')
      const files = readdirSync(parent, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
      let repaired = 0
      fc.assert(
        fc.property(fc.nat(), fc.nat(), (fileAt, bitAt) => {
          const path = files[fileAt % files.length] ?? ''
          const bytes = readFileSync(path)
          const bit = bitAt % (bytes.length * 8)
          bytes[bit >> 3]! ^= 1 << (bit & 7)
          writeFileSync(path, bytes)
          world.log = world.log.restarted()
          const opened = openStore(directory, world)
          drain(opened.store)
          opened.store.scrubQueues()
          assertSame(opened.store, world)
          if (/damaged and is repaired|built anew/.test(opened.seen.lines.join())) repaired++
          opened.store.close()
        }),
        { numRuns: 60 },
      )
      assert.ok(repaired > 20, 'hardly any flip hit a unit')
    })
  })

  test('the scrub leaves the queues of a topic alone that was deleted and made anew', () => {
    inDirectory((directory) => {
      const world = new World()
      const make = (): void => {
        world.record({ kind: 'topic', config: defaultTopicConfig('A', 1) })
        for (let count = 0; count < 9; count++) world.send('A', 0, 40)
      }
      make()
      world.record({ kind: 'deleteTopic', topic: 'A' })
      make()
      const { store, seen } = openStore(directory, world)
      drain(store)
      store.scrubQueues()
      assertSame(store, world)
      assert.ok(!/repaired/.test(seen.lines.join()))
      const queue = store.queues.find('A', 0)
      queue?.rewriteUnit(0, 48, 100, 0)
      store.scrubQueues()
      assertSame(store, world)
      store.close()
    })
  })
})
