import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { mqadminMain } from '../main.ts'
import { withGroup } from './broker-conf-edit.ts'
import { unifiedDiff } from './unified-diff.ts'

const directory = mkdtempSync(join(tmpdir(), 'mqadmin-apply-'))
after(() => rmSync(directory, { recursive: true }))
const PEERS = 'n0-10.0.0.1:40911;n1-10.0.0.2:40911;n2-10.0.0.3:40911'
const MASTER = `# The master of group a
brokerClusterName=DefaultCluster
brokerName=broker-a
brokerId=0
brokerIP1=10.0.0.1
namesrvAddr=10.0.0.9:9876
storePathRootDir=/data/store
brokerRole=SYNC_MASTER
flushDiskType=SYNC_FLUSH
`
const KEYS = { group: 'broker-a', peers: PEERS, self: 'n0' }
let count = 0

function file(text: string): string {
  const path = join(directory, `broker-${++count}.conf`)
  writeFileSync(path, text)
  return path
}

async function apply(
  path: string,
  ...argv: string[]
): Promise<{ code: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const code = await mqadminMain(['upgrade', 'apply', path, ...argv], {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
  })
  return { code, out, err }
}

const GROUP = ['--group', 'broker-a', '--peers', PEERS, '--self', 'n0']

test('the difference is shown, and nothing is written without being asked', async () => {
  const path = file(MASTER)
  const { code, out } = await apply(path, ...GROUP)
  assert.equal(code, 0)
  assert.match(out, /^-brokerRole=SYNC_MASTER$/m)
  assert.match(out, /^-brokerId=0$/m)
  assert.match(out, /^\+enableDLegerCommitLog=true$/m)
  assert.match(out, /Nothing was written: add --write/)
  assert.equal(readFileSync(path, 'utf8'), MASTER)
})

test('written, the file keeps its mode and lines, and the text before stays', async () => {
  const path = file(MASTER)
  chmodSync(path, 0o600)
  const { code, out } = await apply(path, ...GROUP, '--write', '--json')
  assert.equal(code, 0)
  const { backup, written } = JSON.parse(out)
  assert.ok(written)
  assert.equal(readFileSync(backup, 'utf8'), MASTER)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const expected = `${MASTER.replace(/^broker(?:Id|Role)=.*\n/gm, '')}
# Member of a DLedger group (mqadmin upgrade apply)
enableDLegerCommitLog=true
dLegerGroup=broker-a
dLegerPeers=${PEERS}
dLegerSelfId=n0
`
  assert.equal(readFileSync(path, 'utf8'), expected)
  const again = await apply(path, ...GROUP, '--write')
  assert.match(again.out, /says all of that already/)
  assert.equal(readdirSync(directory).filter((name) => name.includes(`-${count}.conf`)).length, 2)
})

test('what a broker could not start with is refused by name, and nothing is written', async () => {
  const refused = async (text: string, pattern: RegExp): Promise<void> => {
    const path = file(text)
    const { code, err } = await apply(path, ...GROUP, '--write')
    assert.equal(code, 3, err)
    assert.match(err, pattern)
    assert.equal(readFileSync(path, 'utf8'), text)
  }
  await refused(
    `${MASTER}listenPort=40911\n`,
    /STOP .*listenPort=40911 is also the DLedger port of n0/,
  )
  await refused(`${MASTER}listenPort=40913\n`, /STOP .*port 40911 of n0 is listenPort - 2/)
  await refused(`${MASTER}flushDiskTyp=SYNC_FLUSH\n`, /STOP .*:10: .*flushDiskTyp/)
  await refused(`${MASTER}enableControllerMode=true\n`, /STOP .*enableControllerMode=true/)
})

test('members that are none are not understood', async () => {
  const path = file(MASTER)
  for (const [peers, self, pattern] of [
    [PEERS, 'n3', /n3 is none of the peers \(n0, n1, n2\)/],
    ['n0-10.0.0.1', 'n0', /is not host:port/],
    ['n0-10.0.0.1:1;n0-10.0.0.2:1', 'n0', /stands twice/],
    ['n0-10.0.0.1:1;n1-10.0.0.1:1', 'n0', /same address/],
  ] as const) {
    const { code, err } = await apply(path, '--group', 'g', '--peers', peers, '--self', self)
    assert.deepEqual([code, pattern.test(err)], [64, true], err)
  }
  assert.equal((await apply(join(directory, 'none'), ...GROUP)).code, 1)
})

test('a key that stands there is changed in its place, given twice or over two lines', () => {
  const text =
    'dLegerSelfId=n7\r\n# x\r\ndLegerPeers=n7-a:1;\\\r\n  n8-b:2\r\ndLegerSelfId = n8\r\n'
  const changed = withGroup(text, KEYS)
  assert.deepEqual(changed.split('\r\n').slice(0, 3), [
    '# x',
    `dLegerPeers=${PEERS}`,
    'dLegerSelfId=n0',
  ])
  assert.equal(withGroup(changed, KEYS), changed)
})

test('a difference leads from one text to the other', () => {
  const line = fc.constantFrom('a', 'b', 'c', '')
  const lines = fc.array(line, { maxLength: 30 })
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const texts = [before, after].map((text) => text.map((one) => `${one}\n`).join(''))
      const diff = unifiedDiff(texts[0]!, texts[1]!, 'x', 'y')
      assert.deepEqual(patched(before, diff), after)
    }),
  )
})

/** Carries out a difference by its line numbers, as patch does. */
function patched(before: readonly string[], diff: string): string[] {
  if (diff === '') return [...before]
  const result: string[] = []
  let at = 0
  for (const text of diff.split('\n').slice(2)) {
    const title = /^@@ -(\d+),(\d+) \+\d+,\d+ @@$/.exec(text)
    if (title !== null) {
      const start = Number(title[1]) - (title[2] === '0' ? 0 : 1)
      while (at < start) result.push(before[at++]!)
    } else if (text[0] === '+') result.push(text.slice(1))
    else {
      assert.equal(before[at++], text.slice(1))
      if (text[0] === ' ') result.push(text.slice(1))
    }
  }
  return [...result, ...before.slice(at)]
}
