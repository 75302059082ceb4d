/** The store of a DLedger 0.3.2, which has no checksums and other segment lengths. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runLedger } from '../main-fake.ts'
import { findStore } from './store-directory.ts'
import { verifyStore } from './verify-store.ts'

const SAMPLES = new URL('../../../protocol/testdata/dledger/', import.meta.url)
const FILES = {
  data: ['00000000000000000000', '00000000000000001024'],
  index: ['00000000000000000000', '00000000000000000256'],
}

/** Each line of the sample is 32 bytes; ended by the test. */
function writeStore(directory: string): void {
  for (const [stream, names] of Object.entries(FILES)) {
    mkdirSync(join(directory, stream), { recursive: true })
    for (const name of names) {
      const text = readFileSync(new URL(`store-${stream}-${name}.hex`, SAMPLES), 'utf8')
      const bytes = Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
      writeFileSync(join(directory, stream, name), bytes)
    }
  }
}

test('a store of a DLedger is read, checked and dumped', async (context) => {
  const root = mkdtempSync(join(tmpdir(), 'ringledger-dledger-'))
  context.after(() => rmSync(root, { recursive: true, force: true }))
  const directory = join(root, 'dledger-n0')
  writeStore(directory)
  const report = verifyStore(findStore(root))
  assert.deepEqual(report.damage, [])
  assert.deepEqual([report.entries, report.unsealed, report.segments], [13, 13, 2])
  assert.equal(report.notes.length, 2)
  const dumped = await runLedger(['dump', root, '--from', '12', '--json'])
  assert.equal(dumped.code, 0, dumped.err)
  assert.equal(JSON.parse(dumped.out).index, 12)
  const data = join(directory, 'data', FILES.data[0]!)
  const bytes = readFileSync(data)
  bytes[12] = 0xff
  writeFileSync(data, bytes)
  const damaged = await runLedger(['verify', root])
  assert.equal(damaged.code, 3)
})
