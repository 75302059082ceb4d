import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sealEntry, writeEntryHeader } from '@ringledger/protocol'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import { isRepairMessage, type RepairMessage } from './repair-messages.ts'
import { Repairer } from './repairer.ts'

const ENTRY = { position: 4096, endPosition: 4196, index: 7, term: 2 }

function entryBytes(): Buffer {
  const bytes = Buffer.alloc(100, 5)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  writeEntryHeader(view, 0, { index: 7, term: 2, position: 4096, bodyBytes: 52 })
  sealEntry(bytes, view, 0, 99)
  return bytes
}

/** A repairer of `n0` with what it sent and what it gave to its store. */
function start(peerIds: readonly string[] = ['n1', 'n2']) {
  const arena = new LogArena(LogArena.allocate({ sizeBytes: 65_536, maxEntryBytes: 4096 }))
  arena.reset(20_000)
  const sent: { to: string; message: RepairMessage; bytes: number }[] = []
  const given: { position: number; bytes: Buffer }[] = []
  const log: string[] = []
  const files = { entry: entryBytes() }
  const connected = new Set(peerIds)
  const storage = {
    repairing: false,
    repair(position: number, bytes: Uint8Array): void {
      storage.repairing = true
      given.push({ position, bytes: Buffer.from(bytes) })
    },
    flush(): void {},
  }
  const repairer = new Repairer({
    selfId: 'n0',
    peerIds,
    send: (to, message, pieces = []) => {
      const bytes = pieces.reduce((sum, piece) => sum + piece.sizeBytes, 0)
      sent.push({ to, message, bytes })
    },
    canAsk: (id) => connected.has(id),
    arena,
    storage,
    readEntry: async (_from, _to, target) => {
      files.entry.copy(target)
    },
    log: (_level, line) => log.push(line),
  })
  const answer = (from: string, bytes: Buffer): void => {
    const { position, endPosition } = ENTRY
    const message = {
      type: 'repairAnswer',
      from,
      to: 'n0',
      term: 0,
      position,
      endPosition,
    } as const
    repairer.onMessage(from, message, bytes, 0, bytes.length)
  }
  const said = (position: number, refusal: string): void => {
    storage.repairing = false
    repairer.onRepaired(position, refusal)
  }
  return { repairer, sent, given, log, files, connected, answer, said }
}

test('one peer is asked, and the next when its entry is not taken', () => {
  const { repairer, sent, given, answer, said } = start()
  repairer.damaged(ENTRY)
  assert.deepEqual(
    sent.map(({ to, message }) => [to, message.type]),
    [['n1', 'repairAsk']],
  )
  answer('n2', entryBytes())
  assert.equal(given.length, 0, 'nobody asked it')
  answer('n1', entryBytes())
  assert.equal(given.length, 1)
  said(ENTRY.position, 'its chainCrc is another')
  assert.equal(sent.at(-1)?.to, 'n2')
  answer('n2', entryBytes())
  said(ENTRY.position, '')
  assert.equal(repairer.count, 0)
})

test('a peer without the entry, or that says nothing, is passed over; then there is a pause', () => {
  const { repairer, sent, log, answer } = start()
  repairer.damaged(ENTRY)
  answer('n1', Buffer.alloc(0))
  assert.equal(sent.length, 2)
  for (let tick = 0; tick < 90; tick++) repairer.tick()
  assert.equal(sent.length, 2, 'nobody is asked in a loop')
  assert.equal(log.filter((line) => /nobody who is connected has it/.test(line)).length, 1)
  for (let tick = 0; tick < 90; tick++) repairer.tick()
  assert.equal(sent.length, 3)
})

test('a peer that comes is asked at once', () => {
  const { repairer, sent, connected } = start()
  connected.clear()
  repairer.damaged(ENTRY)
  assert.equal(sent.length, 0)
  connected.add('n2')
  repairer.onPeerConnected('n2')
  assert.equal(sent.at(-1)?.to, 'n2')
  repairer.onPeerDisconnected('n2')
  repairer.forget(0)
  assert.equal(repairer.count, 0)
})

test('who asks gets a whole entry, or nothing', async () => {
  const { repairer, sent, files } = start()
  const ask = { ...ENTRY, type: 'repairAsk', from: 'n1', to: 'n0', term: 0 } as const
  const answered = async (): Promise<number> => {
    repairer.onMessage('n1', ask, Buffer.alloc(0), 0, 0)
    await new Promise((resolve) => setImmediate(resolve))
    return sent.at(-1)?.bytes ?? -1
  }
  assert.equal(await answered(), 100)
  files.entry[60]! ^= 1
  assert.equal(await answered(), 0)
  repairer.onMessage('n1', { ...ask, endPosition: 2 ** 40 }, Buffer.alloc(0), 0, 0)
  assert.equal(sent.at(-1)?.bytes, 0, 'behind the end')
})

test('only messages of repair with whole positions are taken for such', () => {
  const ask = { type: 'repairAsk', from: 'n1', to: 'n0', term: 0, position: 0, endPosition: 9 }
  assert.ok(isRepairMessage(ask))
  for (const change of [
    { type: 'vote' },
    { position: -1 },
    { endPosition: 0 },
    { position: 0.5 },
  ]) {
    assert.ok(!isRepairMessage({ ...ask, ...change }))
  }
})
