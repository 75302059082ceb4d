import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { refuseHalfAdopted } from './adopt-guard.ts'

test('a store whose old part is being replaced is not started upon', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'adopt-guard-'))
  t.after(() => rmSync(root, { recursive: true }))
  refuseHalfAdopted(root)
  writeFileSync(join(root, 'upgrade-adopt.json'), '{}')
  assert.throws(() => refuseHalfAdopted(root), { code: 'BAD_CONFIG', message: /Run it again/ })
})
