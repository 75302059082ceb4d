import assert from 'node:assert/strict'
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { seededRandom } from '@ringledger/base'
import { openLedger } from '@ringledger/engine'
import { NodeDisk } from '@ringledger/io'
import { findStore, withStoreLock } from './store-directory.ts'
import { type StoreReport, verifyStore } from './verify-store.ts'

const SEGMENT_BYTES = 8192
const ENTRIES = 120
const SEEDS = 150

/** Two equal slots, as docs/protocol/files.md has them. */
function slotFile(magic: number, payload: Buffer): Buffer {
  const slot = Buffer.alloc(4096)
  slot.writeUInt32BE(magic, 0)
  slot.writeDoubleBE(1, 8)
  slot.writeUInt32BE(payload.length, 16)
  payload.copy(slot, 24)
  slot.writeUInt32BE(crc32(payload, crc32(slot.subarray(0, 20))), 20)
  return Buffer.concat([slot, slot])
}

describe('verifyStore', () => {
  const root = mkdtempSync(join(tmpdir(), 'ringledger-verify-'))
  let copies = 0

  before(async () => {
    const options = { directory: join(root, 'whole'), segmentBytes: SEGMENT_BYTES }
    const ledger = await openLedger({ ...options, maxEntryBytes: 4096 })
    for (let at = 0; at < ENTRIES; at++) {
      await ledger.append(Buffer.alloc(20 + ((at * 37) % 700), 0x61 + (at % 26)))
    }
    await ledger.close()
    // As short as it can be, since it is copied often.
    truncateSync(join(root, 'whole', 'dledger-n0', 'index', '0'.repeat(20)), 32 * 4096)
  })

  after(() => rmSync(root, { recursive: true, force: true }))

  /** A copy of the store with the change; its report. */
  function verifyChanged(change: (directory: string) => void): StoreReport {
    const copy = join(root, `copy-${copies++}`)
    cpSync(join(root, 'whole'), copy, { recursive: true })
    change(join(copy, 'dledger-n0'))
    const report = verifyStore(findStore(copy))
    rmSync(copy, { recursive: true })
    return report
  }

  function flipBit(path: string, bit: number): void {
    const bytes = readFileSync(path)
    bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7))
    writeFileSync(path, bytes)
  }

  it('says what is in a whole store', () => {
    const report = verifyChanged(() => {})
    assert.deepEqual(report.damage, [])
    assert.deepEqual(report.notes, [])
    assert.equal(report.entries, ENTRIES + 1)
    assert.deepEqual([report.firstIndex, report.lastIndex, report.barriers], [0, ENTRIES, 1])
    assert.deepEqual([report.term, report.votedFor, report.closedInOrder], [1, 'n0', true])
    assert.ok(report.segments > 3)
  })

  it('finds every flipped bit of the log, and where it is', () => {
    const data = join(root, 'whole', 'dledger-n0', 'data')
    const { endPosition } = verifyChanged(() => {})
    const names = readdirSync(data).sort()
    const random = seededRandom(7)
    for (let seed = 0; seed < SEEDS; seed++) {
      const bit = Math.floor(random() * endPosition * 8)
      const position = bit >> 3
      const name = names[Math.floor(position / SEGMENT_BYTES)]!
      const inSegment = bit - Math.floor(position / SEGMENT_BYTES) * SEGMENT_BYTES * 8
      const { damage } = verifyChanged((store) => flipBit(join(store, 'data', name), inSegment))
      assert.equal(damage.length, 1, `bit ${bit}: ${JSON.stringify(damage)}`)
      const [found] = damage
      assert.ok(found!.position <= position, `bit ${bit}: ${JSON.stringify(found)}`)
      assert.ok(position - found!.position < 1024, `bit ${bit}: ${JSON.stringify(found)}`)
      assert.equal(found!.file, join('data', name))
    }
  })

  it('takes a torn tail that nobody was told of for no damage', () => {
    const report = verifyChanged((store) => {
      const { endPosition } = verifyStore(findStore(store))
      const name = String(endPosition - (endPosition % SEGMENT_BYTES)).padStart(20, '0')
      const path = join(store, 'data', name)
      const bytes = readFileSync(path)
      bytes.writeInt32BE(1, endPosition % SEGMENT_BYTES)
      bytes.writeInt32BE(300, (endPosition % SEGMENT_BYTES) + 4)
      writeFileSync(path, bytes)
    })
    assert.deepEqual(report.damage, [])
    assert.match(report.notes.join(), /behind entry 120 stand bytes that were never acknowledged/)
  })

  it('finds a missing segment, whichever it is', () => {
    const names = readdirSync(join(root, 'whole', 'dledger-n0', 'data')).sort()
    const last = Math.floor(verifyChanged(() => {}).endPosition / SEGMENT_BYTES)
    for (let at = 1; at <= last; at++) {
      const { damage } = verifyChanged((store) => rmSync(join(store, 'data', names[at]!)))
      assert.ok(damage.length >= 1, `segment ${at}`)
      assert.ok(
        damage.some(({ file }) => file === join('data', names[at]!)),
        JSON.stringify(damage),
      )
    }
  })

  it('finds an index that says something else, as one run', () => {
    const report = verifyChanged((store) => {
      const path = join(store, 'index', '0'.repeat(20))
      for (const index of [10, 11, 12]) flipBit(path, (index * 32 + 11) * 8)
    })
    assert.equal(report.damage.length, 1)
    const { kind, index, lastIndex } = report.damage[0]!
    assert.deepEqual([kind, index, lastIndex], ['index', 10, 12])
  })

  it('finds a rotten copy of term and vote, and of the mark', () => {
    const records = { 'ringledger-hardstate': 'term and vote', 'ringledger-durable': 'mark' }
    for (const [file, kind] of Object.entries(records)) {
      const one = verifyChanged((store) => flipBit(join(store, file), 4096 * 8 + 200))
      assert.deepEqual([one.damage.length, one.damage[0]?.kind], [1, kind])
      assert.match(one.damage[0]!.reason, /copy 1 .*the other one is whole/)
      const both = verifyChanged((store) => {
        flipBit(join(store, file), 200)
        flipBit(join(store, file), 4096 * 8 + 200)
      })
      assert.match(both.damage[0]!.reason, /neither/)
    }
  })

  it('says that a log which was begun anew is not whole again', () => {
    const report = verifyChanged((store) => {
      const payload = Buffer.alloc(40)
      payload.writeUInt32BE(2, 0)
      payload.writeBigInt64BE(123_456n, 8)
      writeFileSync(join(store, 'ringledger-lost'), slotFile(0x52_4c_4c_4c, payload))
    })
    assert.deepEqual(report.damage, [])
    assert.match(report.notes.join(), /begun anew; what it had up to position 123456 is not all/)
  })

  it('goes by what was durable when the log ends early', () => {
    const report = verifyChanged((store) => {
      const names = readdirSync(join(store, 'data')).sort()
      for (const name of names.slice(1)) {
        writeFileSync(join(store, 'data', name), new Uint8Array(SEGMENT_BYTES))
      }
    })
    assert.equal(report.damage.length, 1)
    assert.equal(report.damage[0]!.lastIndex, ENTRIES)
  })

  it('refuses a store that a process has open', () => {
    const store = findStore(join(root, 'whole'))
    const lock = new NodeDisk().lock(join(store.directory, 'ringledger-lock'))
    assert.throws(() => withStoreLock(store, () => {}), { code: 'BAD_REQUEST', message: /in use/ })
    lock.release()
    assert.equal(
      withStoreLock(store, () => 'read'),
      'read',
    )
  })

  it('says what a directory lacks', () => {
    assert.throws(() => findStore(join(root, 'nowhere')), { message: /is no directory/ })
    assert.throws(() => findStore(tmpdir()), { code: 'BAD_REQUEST' })
  })
})
