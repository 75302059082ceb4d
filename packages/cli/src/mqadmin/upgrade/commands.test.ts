import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { mqadminMain } from '../main.ts'
import { progressLine } from './progress.ts'

const directory = mkdtempSync(join(tmpdir(), 'mqadmin-upgrade-'))
after(() => rmSync(directory, { recursive: true }))

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const code = await mqadminMain(['upgrade', ...argv], {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
  })
  return { code, out, err }
}

/** A store without messages: what matters here are words and exit codes. */
function emptyStore(name: string): string {
  const root = join(directory, name)
  mkdirSync(join(root, 'commitlog'), { recursive: true })
  writeFileSync(join(root, 'commitlog', '0'.repeat(20)), Buffer.alloc(4096))
  return root
}

test('check writes a report that compare reads', async () => {
  const [first, second] = [emptyStore('a'), emptyStore('b')]
  const reports = [join(directory, 'a.json'), join(directory, 'b.json')] as const
  assert.equal((await run('check', first, '-o', reports[0])).code, 0)
  const checked = await run('check', second, '--json', '-o', reports[1])
  assert.equal(checked.code, 0)
  assert.deepEqual(JSON.parse(checked.out), JSON.parse(readFileSync(reports[1], 'utf8')))
  const compared = await run('compare', ...reports)
  assert.match(compared.out, /the same, byte for byte/)
  assert.equal(compared.code, 0)
})

test('what must not be started upon ends with 3', async () => {
  const store = emptyStore('killed')
  writeFileSync(join(store, 'abort'), '')
  const { code, out } = await run('check', store)
  assert.equal(code, 3)
  assert.match(out, /^STOP {2}the file "abort" is there/m)
})

test('what is not there, is no report or is given twice is said', async () => {
  const store = emptyStore('c')
  assert.match((await run('check', join(directory, 'none'))).err, /is no directory/)
  const text = join(directory, 'text')
  writeFileSync(text, 'x')
  assert.match((await run('compare', store, text)).err, /is no report .* it is no JSON/)
  assert.match((await run('compare', store, store)).err, /given twice/)
  assert.equal((await run('compare', store)).code, 64)
  assert.equal((await run('check')).code, 64)
  assert.match((await run('check', store, '--digest-at', '5,x')).err, /'x' is no whole number/)
})

test('a report of another version is refused', async () => {
  const old = join(directory, 'old.json')
  writeFileSync(old, '{"version":0}')
  assert.match((await run('compare', old, old)).err, /its version is 0, this program reads 1/)
})

test('progress tells rate and time left', () => {
  const line = progressLine('/data/store', 2 ** 30, 4 * 2 ** 30, 1000)
  assert.equal(line, '/data/store  25 %  1.00 of 4.00 GiB  1.00 GiB/s  3 s left')
})

test('a rollback of what is no member says so and ends with 3', async () => {
  const store = emptyStore('plain-already')
  const target = join(directory, 'rolled-back')
  const refused = await run('rollback', store, '--to', target)
  assert.equal(refused.code, 3)
  assert.match(refused.err, /^STOP {2}there is no dledger-<id>\/data below/m)
  const asJson = await run('rollback', store, '--to', target, '--json')
  assert.match(JSON.parse(asJson.out).refused, /there is no dledger/)
  assert.equal((await run('rollback', store)).code, 64)
  assert.match((await run('rollback', '--help')).out, /run that\nwas killed is taken up/)
})
