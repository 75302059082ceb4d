import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { refusePlainLog } from './plain-log-guard.ts'

const root = mkdtempSync(join(tmpdir(), 'plain-log-'))
after(() => rmSync(root, { recursive: true }))
const directory = join(root, 'commitlog')
const name = '00000000000000000000'

test('no old log, or an empty one, is no hindrance', () => {
  refusePlainLog(directory)
  mkdirSync(directory)
  refusePlainLog(directory)
  writeFileSync(join(directory, name), Buffer.alloc(100))
  writeFileSync(join(directory, 'notes'), 'not a log file')
  refusePlainLog(directory)
})

test('messages from before DLedger mode are never passed over in silence', () => {
  writeFileSync(join(directory, name), Buffer.from('000000b2daa320a7', 'hex'))
  for (const paths of [directory, `${join(root, 'other')},${directory}`]) {
    assert.throws(() => refusePlainLog(paths), { code: 'BAD_CONFIG', message: /upgrade compare/ })
  }
})
