import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { test } from 'node:test'
import { ROOT } from './sources.ts'

const DOCUMENT = readFileSync(`${ROOT}/docs/guarantees.md`, 'utf8')

interface Claim {
  readonly file: string
  readonly title: string
}

function claimsIn(text: string): Claim[] {
  const found = text.matchAll(/`([\w./-]+\.test\.ts)`\s+"([^"]+)"/g)
  return [...found].map(([, file, title]) => ({ file: file!, title: title!.replace(/\s+/g, ' ') }))
}

/** Claims whose test is not there any more. */
function unproved(claims: readonly Claim[]): Claim[] {
  return claims.filter(({ file, title }) => {
    const path = `${ROOT}/${file}`
    return !existsSync(path) || !readFileSync(path, 'utf8').includes(title)
  })
}

test('every guarantee names a test that is there', () => {
  const claims = claimsIn(DOCUMENT)
  assert.ok(claims.length > 0)
  assert.deepEqual(unproved(claims), [], 'name the test that shows it now, or take the line out')
})

test('every line of a table of guarantees has its proof', () => {
  const lines = DOCUMENT.split('\n').filter((line) => /^\| (?!failure |---)/.test(line))
  assert.deepEqual(
    lines.filter((line) => claimsIn(line).length === 0),
    [],
  )
})

test('a proof that is gone is noticed', () => {
  const [claim] = claimsIn(DOCUMENT)
  assert.ok(claim)
  const gone = [
    { ...claim, title: 'no such title' },
    { ...claim, file: 'test/no-such.test.ts' },
  ]
  assert.deepEqual(unproved([claim, ...gone]), gone)
})

test('links within docs lead somewhere', () => {
  for (const name of ['guarantees.md', 'protocol/files.md', 'protocol/peer-protocol.md']) {
    const text = readFileSync(`${ROOT}/docs/${name}`, 'utf8')
    for (const [, target] of text.matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g)) {
      const path = posix.join(ROOT, 'docs', posix.dirname(name), target!)
      assert.ok(existsSync(path), `${name} links to ${target}`)
    }
  }
})
