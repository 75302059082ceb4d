/** What is written to queue files does not pile up for the kernel. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type OpenFile, OpenFiles } from './open-files.ts'

test('a file is synced whenever two mebibytes were written to it', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-open-files-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const files = new OpenFiles(2)
  t.after(() => files.closeAll())
  const owner: OpenFile[] = []
  const file = files.use(owner, 0, () => join(directory, 'a'), 4096, true)
  assert.ok(file !== undefined)
  const synced: number[] = []
  const { sync } = files
  t.mock.method(files, 'sync', (one: OpenFile) => {
    synced.push(one.unsyncedBytes)
    sync.call(files, one)
  })
  for (let count = 0; count < 10; count++) files.wrote(file, 700 * 1024)
  assert.deepEqual(synced, Array(3).fill(2100 * 1024))
  assert.equal(file.unsyncedBytes, 700 * 1024)
})
