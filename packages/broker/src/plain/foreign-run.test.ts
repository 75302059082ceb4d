import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { forgetForeignRun, hasRunPlain } from './foreign-run.ts'
import { holderOf } from './running-apache.ts'

test('our notes count until a broker of Apache has started on the store', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'foreign-run-'))
  context.after(() => rmSync(root, { recursive: true }))
  const notes = [join(root, 'ringledger-dispatch'), join(root, 'config', 'ringledger-state.json')]
  const lines: string[] = []
  const start = (): boolean => {
    forgetForeignRun(root, (line) => lines.push(line))
    const kept = notes.every((path) => existsSync(path))
    mkdirSync(join(root, 'config'), { recursive: true })
    for (const path of notes) writeFileSync(path, '{}')
    return kept
  }
  assert.ok(!hasRunPlain(root))
  assert.equal(start(), false)
  assert.ok(hasRunPlain(root))
  assert.equal(start(), true)
  writeFileSync(join(root, 'lock'), 'lock')
  assert.equal(start(), false)
  assert.equal(start(), true)
  utimesSync(join(root, 'lock'), new Date(), new Date(Date.now() + 5000))
  assert.equal(start(), false)
  assert.equal(lines.length, 2)
  assert.match(lines[0] ?? '', /another broker has run on this store since/)
})

test('who holds a lock on a file is found in /proc/locks', () => {
  const locks = [
    '1: FLOCK  ADVISORY  WRITE 812 00:1a:131 0 EOF',
    '2: POSIX  ADVISORY  WRITE 4711 fd:00:1310 0 0',
    '2: -> POSIX  ADVISORY  WRITE 4712 fd:00:1311 0 0',
  ].join('\n')
  assert.equal(holderOf(locks, 1310), '4711')
  assert.equal(holderOf(locks, 131), undefined)
})
