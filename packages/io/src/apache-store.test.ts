import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { StoreConfig } from './config.ts'
import { NodeDisk } from './disk-node.ts'
import { LogFileReader } from './log-file-reader.ts'
import { StoreFake } from './store-fake.ts'

/**
 * Written by Apache RocketMQ 5.4.0 in DLedger mode: 279 entries of term 0 over four segments, three
 * fillers.
 */
const FIXTURE = fileURLToPath(new URL('../testdata/dledger-5.4.0.tar.gz', import.meta.url))
const SEGMENT_BYTES = 262_144
const LOG_END = 983_084
const skip = existsSync(FIXTURE) ? false : `no fixture ${FIXTURE}`

async function unpack(t: { after(clean: () => Promise<void>): void }): Promise<StoreConfig> {
  const directory = await mkdtemp(join(tmpdir(), 'ringledger-apache-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  execFileSync('tar', ['xzf', FIXTURE, '-C', directory])
  return {
    rootDirectory: join(directory, 'store'),
    selfId: 'n0',
    segmentBytes: SEGMENT_BYTES,
    minimumFreeBytes: 1,
    zeroAheadBytes: 0,
  }
}

function digest(config: StoreConfig): string {
  const reader = new LogFileReader(config)
  const bytes = Buffer.alloc(LOG_END)
  assert.equal(reader.read(0, bytes, 0, LOG_END), LOG_END)
  reader.close()
  return createHash('sha256').update(bytes).digest('hex')
}

test('a store of Apache RocketMQ opens with all its entries', { skip }, async (t) => {
  const config = await unpack(t)
  const before = digest(config)
  const seam = new StoreFake(config, new NodeDisk())
  const { recovered } = seam
  assert.deepEqual(recovered.tail, {
    firstPosition: 0,
    firstIndex: 0,
    endPosition: LOG_END,
    lastIndex: 278,
    lastTerm: 0,
    spans: [{ term: 0, firstPosition: 0, firstIndex: 0 }],
  })
  assert.deepEqual(recovered.hardState, { term: 0, votedFor: 'n0' })
  assert.equal(recovered.lastChainCrc, 0)
  assert.equal(recovered.committedIndex, 278)
  assert.equal(recovered.committedPosition, LOG_END)
  assert.deepEqual(recovered.damage, [])
  assert.equal(digest(config), before)
  seam.close()
})

test('our entries follow those of Apache, and both sides can read the files', {
  skip,
}, async (t) => {
  const config = await unpack(t)
  const seam = new StoreFake(config, new NodeDisk())
  seam.client.saveHardState({ term: 1, votedFor: 'n2' }, 1)
  seam.append(100, 1, 1000)
  seam.settle()
  seam.client.checkpoint(seam.core.end.position, 378)
  seam.close()

  const directory = join(config.rootDirectory, 'dledger-n0')
  assert.equal(await readFile(join(directory, 'currterm'), 'utf8'), 'voteLeader=n2\ncurrTerm=1\n')
  const checkpoint = await readFile(join(directory, 'checkpoint'), 'utf8')
  assert.equal(checkpoint, 'committedIndex=378\nendIndex=378\n')
  for (const base of [0, 1, 2, 3, 4]) {
    const name = String(base * SEGMENT_BYTES).padStart(20, '0')
    assert.equal((await stat(join(directory, 'data', name))).size, SEGMENT_BYTES)
  }
  const reader = new LogFileReader(config)
  const unit = reader.entryPositionOfIndex(279)
  assert.equal(unit, LOG_END)
  reader.close()

  const again = new StoreFake(config, new NodeDisk())
  assert.equal(again.recovered.cleanShutdown, true)
  assert.equal(again.recovered.tail.lastIndex, 378)
  assert.equal(again.recovered.lastChainCrc, seam.core.end.chainCrc)
  assert.deepEqual(
    again.recovered.tail.spans.map((span) => [span.term, span.firstPosition, span.firstIndex]),
    [
      [0, 0, 0],
      [1, LOG_END, 279],
    ],
  )
  again.close()
})
