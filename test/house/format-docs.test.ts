import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { seededRandom } from '../../packages/base/src/index.ts'
import { readRecord } from '../../packages/broker/src/state/records.ts'
import { storeLayout } from '../../packages/io/src/config.ts'
import { type Disk, OpenMode } from '../../packages/io/src/disk.ts'
import { FakeDisk } from '../../packages/io/src/disk-fake.ts'
import { HardStateFile } from '../../packages/io/src/hard-state.ts'
import { MarkFile, MarkState } from '../../packages/io/src/resume-mark.ts'
import { PeerBatch } from '../../packages/network/src/peer-batch.ts'
import { encodePeerMessage } from '../../packages/network/src/peer-codec.ts'
import { helloMismatch } from '../../packages/network/src/peer-hello.ts'
import { sealEntry, writeEntryHeader } from '../../packages/protocol/src/index.ts'
import { ROOT } from './sources.ts'

const SLOT_HEAD_BYTES = 24

interface Field {
  readonly at: number
  readonly type: string
}

/** The fields of the table with offsets below `heading`, by name. */
function fieldsBelow(document: string, heading: string): Map<string, Field> {
  const text = readFileSync(`${ROOT}/docs/protocol/${document}`, 'utf8')
  const start = text.indexOf(`\n${heading}\n`)
  assert.ok(start >= 0, `${document} has the heading ${heading}`)
  const section = text.slice(start, start + text.slice(start + 1).search(/\n#/) + 1)
  const rows = section.matchAll(/^\| (\d+) \| ([uif]\d+|text) \| `(\w+)`/gm)
  return new Map([...rows].map(([, at, type, name]) => [name!, { at: Number(at), type: type! }]))
}

/** What `bytes` say when they are read as the document describes them. */
function readAs(
  fields: Map<string, Field>,
  bytes: Buffer,
  from: number,
  littleEndian: boolean,
): Record<string, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const values: Record<string, number> = {}
  for (const [name, { at, type }] of fields) {
    if (type !== 'text') values[name] = readField(view, from + at, type, littleEndian)
  }
  return values
}

function readField(view: DataView, at: number, type: string, littleEndian: boolean): number {
  switch (type) {
    case 'u8':
      return view.getUint8(at)
    case 'u16':
      return view.getUint16(at, littleEndian)
    case 'u32':
      return view.getUint32(at, littleEndian)
    case 'i32':
      return view.getInt32(at, littleEndian)
    case 'i64':
      return Number(view.getBigInt64(at, littleEndian))
    default:
      assert.equal(type, 'f64')
      return view.getFloat64(at, littleEndian)
  }
}

function fileBytes(disk: Disk, path: string): Buffer {
  const file = disk.open(path, OpenMode.READ)
  const bytes = Buffer.alloc(file.sizeBytes())
  file.readAt(bytes, 0, bytes.length, 0)
  file.close()
  return bytes
}

test('peer-protocol.md describes the header of a frame', () => {
  const batch = new PeerBatch()
  const spans = [{ term: 5, firstPosition: 1000, firstIndex: 9 }]
  const append = {
    type: 'append',
    from: 'n0',
    to: 'n1',
    term: 5,
    prevPosition: 1000,
    prevTerm: 4,
    endPosition: 2000,
    lastIndex: 12,
    spans,
    commitPosition: 900,
    round: 77,
  }
  encodePeerMessage(batch, append, 1000)
  const fields = fieldsBelow('peer-protocol.md', '## A frame')
  assert.deepEqual(readAs(fields, batch.head, 0, true), {
    magic: Buffer.from('RLP1').readUInt32LE(),
    type: 2,
    flags: 0,
    spans: 1,
    bodyBytes: 24,
    payloadBytes: 1000,
    term: 5,
    otherTerm: 4,
    position: 1000,
    endPosition: 2000,
    lastIndex: 12,
    commitPosition: 900,
    round: 77,
  })
})

test('peer-protocol.md has the words of every mismatch', () => {
  const text = readFileSync(`${ROOT}/docs/protocol/peer-protocol.md`, 'utf8')
  const ours = {
    version: 2,
    group: 'B',
    selfId: 'n2',
    targetId: 'n1',
    segmentBytes: 2048,
    maxEntryBytes: 512,
  }
  const theirs = { ...ours, selfId: 'n1', targetId: 'n2' }
  assert.equal(helloMismatch(ours, theirs), undefined)
  for (const wrong of [
    { version: 3 },
    { group: 'A' },
    { targetId: 'n1' },
    { selfId: 'n3' },
    { segmentBytes: 1024 },
    { maxEntryBytes: 256 },
  ]) {
    const words = helloMismatch(ours, { ...theirs, ...wrong })
    assert.ok(words !== undefined)
    assert.ok(text.includes(`\`${words}\``), words)
  }
})

test('files.md describes an entry', () => {
  const bytes = Buffer.alloc(58, 7)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  writeEntryHeader(view, 0, { index: 3, term: 2, position: 4096, bodyBytes: 10 })
  const chainCrc = sealEntry(bytes, view, 0, 99)
  const { bodyCrc, ...rest } = readAs(fieldsBelow('files.md', '## An entry'), bytes, 0, false)
  const place = { index: 3, term: 2, position: 4096, bodyBytes: 10 }
  assert.deepEqual(rest, { magic: 1, size: 58, channel: 0, chainCrc, ...place })
  assert.notEqual(bodyCrc, 0)
})

test('files.md describes the slot files', () => {
  const disk = new FakeDisk(seededRandom(1))
  const layout = storeLayout({ rootDirectory: '/store', selfId: 'n0' })
  disk.makeDirectory(layout.directory)
  const hardState = new HardStateFile(disk, layout)
  hardState.open()
  hardState.save({ term: 12, votedFor: 'n2' })
  const mark = new MarkFile(disk, layout)
  mark.create({
    state: MarkState.CLEAN,
    end: { position: 5000, index: 40, term: 12, chainCrc: 0xfedcba98 },
    committedPosition: 4000,
    committedIndex: 30,
    zeroedTo: 9000,
    segmentBytes: 1024,
  })
  const slot = fieldsBelow('files.md', '## Slot files')
  const saved = fileBytes(disk, layout.hardStatePath)
  const marked = fileBytes(disk, layout.markPath)
  const { magic, payloadBytes } = readAs(slot, saved, 4096, false)
  assert.deepEqual([magic, payloadBytes], [Buffer.from('RLHS').readUInt32BE(), 12])
  assert.equal(readAs(slot, marked, 0, false).magic, Buffer.from('RLDM').readUInt32BE())
  const state = readAs(
    fieldsBelow('files.md', '### `ringledger-hardstate`'),
    saved,
    SLOT_HEAD_BYTES,
    false,
  )
  assert.deepEqual(state, { term: 12, voteBytes: 2 })
  assert.equal(saved.toString('utf8', SLOT_HEAD_BYTES + 10, SLOT_HEAD_BYTES + 12), 'n2')
  const fields = fieldsBelow('files.md', '### `ringledger-durable`')
  assert.deepEqual(readAs(fields, marked, SLOT_HEAD_BYTES, false), {
    state: 2,
    chainCrc: 0xfedcba98,
    position: 5000,
    index: 40,
    term: 12,
    committedPosition: 4000,
    committedIndex: 30,
    zeroedTo: 9000,
    segmentBytes: 1024,
  })
})

test('files.md names every kind of state record', () => {
  const text = readFileSync(`${ROOT}/docs/protocol/files.md`, 'utf8')
  const section = text.slice(text.indexOf('## State records'))
  const documented = [...section.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]!)
  const source = readFileSync(`${ROOT}/packages/broker/src/state/records.ts`, 'utf8')
  const type = source.slice(
    source.indexOf('export type StateRecord'),
    source.indexOf('export const MAX_OFFSETS'),
  )
  const known = [...type.matchAll(/kind: '(\w+)'/g)].map((match) => match[1]!)
  assert.deepEqual(documented.filter((kind) => kind !== 'kind').sort(), known.sort())
  for (const kind of known) assert.doesNotMatch(String(readRecord({ kind })), /unknown kind/)
})
