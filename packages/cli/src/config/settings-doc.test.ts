import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { settingsDoc } from './settings-doc.ts'

test('docs/operate/settings.md is what the schema says (npm run docs)', () => {
  const path = new URL('../../../../docs/operate/settings.md', import.meta.url)
  assert.equal(readFileSync(path, 'utf8'), settingsDoc())
})
