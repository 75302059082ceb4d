import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parseReport } from './read-report.ts'
import type { StoreReport } from './report.ts'
import { surveyStore } from './survey.ts'

const root = mkdtempSync(join(tmpdir(), 'read-report-'))
after(() => rmSync(root, { recursive: true }))
let report: StoreReport

before(async () => {
  mkdirSync(join(root, 'commitlog'))
  writeFileSync(join(root, 'commitlog', '0'.repeat(20)), Buffer.alloc(4096))
  report = await surveyStore({ root, digestAt: [10] })
})

test('a report that travelled as JSON is read', () => {
  assert.deepEqual(parseReport(JSON.parse(JSON.stringify(report)), 'a.json'), report)
})

test('a report that names other files than log files, or places outside of them, is none', () => {
  const withFile = (change: object): object => {
    return { ...report, files: report.files.map((file) => ({ ...file, ...change })) }
  }
  for (const change of [
    { name: '../../etc/x' },
    { name: '0'.repeat(19) },
    { name: 5 },
    { offset: -1 },
    { sizeBytes: -1 },
    { endOffset: 4097 },
    { endOffset: -1 },
    { messages: 0.5 },
    { digest: 'x' },
    { marks: [{ offset: 1 }] },
    { tail: 'x' },
    { tail: [{}] },
  ]) {
    assert.throws(
      () => parseReport(withFile(change), 'a.json'),
      /files is no list/,
      JSON.stringify(change),
    )
  }
})

test('tables are names with lists of lines', () => {
  for (const table of [5, { name: 'topics.json' }, { name: 'x', entries: 5 }, { entries: [] }]) {
    assert.throws(() => parseReport({ ...report, config: [table] }, 'a.json'), /config is no list/)
  }
})
