/** The key index against a model: several files, crashes of the process and of the machine. */
import assert from 'node:assert/strict'
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { keyIndexHash, keyIndexKey } from '@ringledger/protocol'
import fc from 'fast-check'
import { keyHashOf, topicPrefixHash } from './key-hash.ts'
import { type IndexMark, KeyIndex } from './key-index.ts'

const SLOTS = 3000
const ENTRIES = 150
const NONE: IndexMark = { fileName: '', indexCount: 0 }

function inDirectory(use: (directory: string) => void): void {
  const parent = mkdtempSync(join(tmpdir(), 'ringledger-index-'))
  try {
    use(join(parent, 'index'))
  } finally {
    rmSync(parent, { recursive: true })
  }
}

function opened(directory: string, mark: IndexMark, pagesTrusted: boolean): KeyIndex {
  const index = new KeyIndex({ directory, slots: SLOTS, entries: ENTRIES })
  index.recover(mark, pagesTrusted)
  return index
}

interface Put {
  key: number
  physicalOffset: number
  timestampMs: number
}

const START_MS = 1_700_000_000_000

class Model {
  readonly puts: Put[] = []

  add(index: KeyIndex, key: number): void {
    const place = this.puts.length
    const put = { key, physicalOffset: 48 + place * 100, timestampMs: START_MS + place * 700 }
    this.puts.push(put)
    Model.put(index, put)
  }

  static put(index: KeyIndex, put: Put): void {
    index.put(keyIndexHash(keyIndexKey('T', `k${put.key}`)), put.physicalOffset, put.timestampMs)
  }

  assertSame(index: KeyIndex, keys: number): void {
    for (let key = 0; key < keys; key++) {
      const expected = this.puts
        .filter((put) => put.key === key)
        .map((put) => put.physicalOffset)
        .reverse()
      assert.deepEqual(index.query('T', `k${key}`, 1e9, 0, Number.MAX_SAFE_INTEGER), expected)
      assert.deepEqual(index.query('T', `k${key}`, 2, 0, START_MS * 2), expected.slice(0, 2))
    }
    assert.deepEqual(index.query('U', 'k1', 64, 0, Number.MAX_SAFE_INTEGER), [])
  }
}

const KEYS = 12
const step = fc.oneof(
  { weight: 6, arbitrary: fc.array(fc.nat(KEYS - 1), { minLength: 1, maxLength: 90 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 8 }) },
  { weight: 1, arbitrary: fc.constant('mark' as const) },
  { weight: 1, arbitrary: fc.constant('crash' as const) },
  { weight: 1, arbitrary: fc.constant('close' as const) },
)

describe('the key index', () => {
  test('finds every key, newest first, whatever is flushed and lost with the process', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        inDirectory((directory) => {
          const model = new Model()
          let index = opened(directory, NONE, true)
          let marked = { mark: NONE, puts: 0 }
          for (const action of steps) {
            if (typeof action === 'number') {
              index.beginFlush()
              for (let n = 0; n < action; n++) index.flushStep(1)
            } else if (action === 'mark') {
              index.flush()
              marked = { mark: index.mark, puts: model.puts.length }
            } else if (action === 'crash') {
              index.abandon()
              index = opened(directory, marked.mark, true)
              for (const put of model.puts.slice(marked.puts)) Model.put(index, put)
            } else if (action === 'close') {
              marked = { mark: index.mark, puts: model.puts.length }
              index.close()
              index = opened(directory, marked.mark, true)
            } else {
              for (const key of action) model.add(index, key)
            }
          }
          model.assertSame(index, KEYS)
          index.close()
        })
      }),
      { numRuns: 60 },
    )
  })

  test('finds every key of a batch that is so large that it goes by large pages', () => {
    inDirectory((directory) => {
      const shape = { directory, slots: 150_000, entries: 100_000 }
      const index = new KeyIndex(shape)
      index.recover(NONE, true)
      const places = new Map<number, number[]>()
      for (let place = 0; place < 90_000; place++) {
        const keyHash = (Math.imul(place % 30_000, 0x9e3779b1) >>> 1) % 400_000
        index.put(keyHash, place, START_MS + place)
        places.set(keyHash, [place, ...(places.get(keyHash) ?? [])])
      }
      index.close()
      const again = new KeyIndex(shape)
      again.recover({ fileName: String(readdirSync(directory)[0]), indexCount: 90_001 }, true)
      for (const [keyHash, expected] of places) {
        assert.deepEqual(again.hashQuery(keyHash), expected)
      }
      again.close()
    })
  })

  test('finds every synced key after the machine lost any part of the rest', () => {
    const keys = fc.array(fc.nat(KEYS - 1), { minLength: 1, maxLength: 400 })
    const runs = fc.tuple(keys, keys, fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }))
    fc.assert(
      fc.property(runs, ([synced, lost, kept]) => {
        inDirectory((directory) => {
          const model = new Model()
          const index = opened(directory, NONE, true)
          for (const key of synced) model.add(index, key)
          index.sync()
          const { mark } = index
          const copy = mkdtempSync(join(directory, '../copy-'))
          for (const name of readdirSync(directory)) {
            copyFileSync(join(directory, name), join(copy, name))
          }
          const more = new Model()
          more.puts.push(...model.puts)
          for (const key of lost) more.add(index, key)
          index.flush()
          index.abandon()
          for (const name of readdirSync(directory)) mixPages(directory, copy, name, kept)
          const again = opened(directory, mark, false)
          model.assertSame(again, KEYS)
          for (const put of more.puts.slice(model.puts.length)) Model.put(again, put)
          more.assertSame(again, KEYS)
          again.close()
        })
      }),
      { numRuns: 40 },
    )
  })

  test('finds keys while batches of entries are on their way, and after a kill amid one', () => {
    inDirectory((directory) => {
      const options = { directory, slots: 50_000, entries: 180_000 }
      const index = new KeyIndex(options)
      const keyOf = (n: number): number => Math.imul(n, 0x9e3779b1) >>> 1
      const found = (from: KeyIndex, n: number): boolean =>
        from.hashQuery(keyOf(n)).includes(48 + n * 100)
      let mark = NONE
      let marked = 0
      for (let n = 0; n < 250_000; n++) {
        index.put(keyOf(n), 48 + n * 100, START_MS + n)
        if (n % 70_000 === 0) {
          index.flush()
          mark = index.mark
          marked = n + 1
        }
        if (n % 9000 === 0) {
          for (let back = 0; back <= n; back += 1777) assert.ok(found(index, n - back), `${n}`)
        }
      }
      index.abandon()
      const again = new KeyIndex(options)
      again.recover(mark, true)
      for (let n = 0; n < 250_000; n += 331) assert.equal(found(again, n), n < marked, `${n}`)
      again.close()
    })
  })

  test('respects the time range, to the second', () => {
    inDirectory((directory) => {
      const model = new Model()
      const index = opened(directory, NONE, true)
      for (let n = 0; n < 400; n++) model.add(index, 1)
      const inRange = (put: Put): boolean =>
        put.timestampMs >= START_MS + 50_000 && put.timestampMs <= START_MS + 90_000
      const expected = model.puts.filter(inRange).map((put) => put.physicalOffset)
      const found = index.query('T', 'k1', 1e9, START_MS + 50_000, START_MS + 90_000).reverse()
      for (const physicalOffset of expected) assert.ok(found.includes(physicalOffset))
      assert.ok(found.length <= expected.length + 4)
      assert.equal(index.lastUpdatePhysicalOffset, model.puts.at(-1)!.physicalOffset)
      assert.equal(index.lastUpdateTimestampMs, model.puts.at(-1)!.timestampMs)
      assert.equal(readdirSync(directory).length, 3)
      index.close()
    })
  })

  test('says when its files are not those of the mark', () => {
    inDirectory((directory) => {
      const index = opened(directory, NONE, true)
      new Model().add(index, 1)
      index.close()
      const name = readdirSync(directory)[0]!
      assert.throws(() => opened(directory, { fileName: '9'.repeat(17), indexCount: 2 }, true), {
        code: 'CORRUPT',
      })
      assert.throws(() => opened(directory, { fileName: name, indexCount: 9 }, true), {
        code: 'CORRUPT',
      })
      writeFileSync(join(directory, name), Buffer.alloc(10))
      assert.throws(() => opened(directory, { fileName: name, indexCount: 2 }, true), {
        code: 'CORRUPT',
      })
      opened(directory, NONE, true)
      assert.deepEqual(readdirSync(directory), [])
    })
  })

  test('hashes a key from its bytes as from its text', () => {
    const key = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }))
    fc.assert(
      fc.property(key, key, (topic, text) => {
        const bytes = Buffer.from(`..${text}`)
        const whole = Buffer.from(bytes.toString()).subarray(2).toString()
        const found = keyHashOf(topicPrefixHash(topic), bytes, 2, bytes.length)
        assert.equal(found, keyIndexHash(keyIndexKey(topic, whole)))
      }),
    )
  })
})

/** What a machine's crash leaves: of each page the synced or the newer state. */
function mixPages(directory: string, copy: string, name: string, kept: readonly boolean[]): void {
  const newer = readFileSync(join(directory, name))
  const older = readdirSync(copy).includes(name) ? readFileSync(join(copy, name)) : undefined
  const mixed = Buffer.from(newer)
  for (let page = 0; page * 1024 < mixed.length; page++) {
    if (kept[page % kept.length] === true) continue
    if (older === undefined) mixed.fill(0, page * 1024, (page + 1) * 1024)
    else older.copy(mixed, page * 1024, page * 1024, (page + 1) * 1024)
  }
  writeFileSync(join(directory, name), mixed)
}
