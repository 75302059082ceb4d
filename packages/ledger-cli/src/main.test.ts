import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, test } from 'node:test'
import { ScriptedServer } from './client/scripted-server-fake.ts'
import { type LedgerRun, runLedger } from './main-fake.ts'
import { type RunningLedgerServer, startLedgerServer } from './server/ledger-server.ts'

const COMMANDS = ['server', 'append', 'get', 'tail', 'status', 'transfer', 'verify', 'dump']

test('help is there for the program and for every command, with examples', async () => {
  const help = await runLedger(['--help'])
  assert.deepEqual([help.code, help.err], [0, ''])
  for (const name of COMMANDS) {
    assert.match(help.out, new RegExp(`^ {2}${name} `, 'm'))
    for (const argv of [
      [name, '--help'],
      ['help', name],
    ]) {
      const { code, out, err } = await runLedger(argv)
      assert.deepEqual([code, err], [0, ''], argv.join(' '))
      assert.match(out, /--json/)
      assert.match(out, new RegExp(`\nExamples:\n {2}ledger ${name} ?`))
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
      assert.doesNotMatch(out, /\u001b/)
    }
  }
})

test('what is not understood ends with 64 and says why', async () => {
  const wrong = [
    [],
    ['nonsense'],
    ['get'],
    ['get', 'one'],
    ['get', '-1'],
    ['get', '1', '--body', 'image'],
    ['append', '--count', '0', 'x'],
    ['append', '--lines', 'x'],
    ['append', '--file', 'f', 'x'],
    ['tail', '-n', 'all'],
    ['status', '--peers', 'nowhere'],
    ['status', '--clients', 'n0-nowhere'],
    ['server'],
    ['server', '--store-dir', '/nowhere', '--id', 'n7', '--peers', 'n0-localhost:1'],
    ['server', '--store-dir', '/nowhere', '--durability', 'maybe'],
    ['server', '--store-dir', '/nowhere', '--max-entry-bytes', '99999999'],
    ['verify'],
    ['dump'],
  ]
  for (const argv of wrong) {
    const { code, out, err } = await runLedger(argv)
    assert.deepEqual([code, out], [64, ''], `${argv.join(' ')}: ${err}`)
    assert.notEqual(err, '', argv.join(' '))
  }
})

test('a directory that is no store is said, with 1', async () => {
  for (const command of ['verify', 'dump']) {
    const { code, err } = await runLedger([command, '/nowhere'])
    assert.deepEqual([code, err], [1, 'ledger: /nowhere is no directory\n'])
  }
})

test('a write of which nobody knows ends with 2 and says what to do', async (context) => {
  const server = new ScriptedServer('n0', (code) => {
    return code === 50000 ? { code: 200, leaderId: 'n0' } : { code: 501, mayCommit: true }
  })
  await server.listen()
  context.after(() => server.close())
  const where = ['--clients', `n0-127.0.0.1:${server.address.port}`]
  const plain = await runLedger(['append', ...where, 'x'])
  assert.equal(plain.code, 2)
  assert.match(
    plain.err,
    /TERM_CHANGED \(501\).*\n.*may be in the log or not: look before you repeat/,
  )
  const asJson = await runLedger(['append', ...where, '--json', 'x'])
  assert.deepEqual([asJson.code, JSON.parse(asJson.err).mayCommit], [2, true])
})

test('an endless standard input does not fill the memory', async () => {
  const input = Array.from({ length: 17 }, () => 'x'.repeat(1024 * 1024))
  const { code, err } = await runLedger(['append'], { input })
  assert.equal(code, 1)
  assert.match(err, /standard input is longer than 16777216 bytes/)
})

test('status says in words what is wrong with a member', async (context) => {
  const ill = { role: 'halted', term: 3, committed: { index: 9 }, disk: 'failed' }
  const failure = { file: '/n0/data/0', error: 'EIO' }
  const common = { first: { index: 0 }, end: { index: 9, position: 99 }, peers: [], serving: false }
  const status = { selfId: 'n0', ...ill, ...common, failure, damagedEntries: 2, healing: true }
  const server = new ScriptedServer('n0', () => ({ code: 200, status }))
  await server.listen()
  context.after(() => server.close())
  const { code, out } = await runLedger(['status', '--clients', `127.0.0.1:${server.address.port}`])
  assert.equal(code, 1)
  const [, row, ...lines] = out.trim().split('\n')
  assert.match(row ?? '', /^n0 .* halted +3 +- .* failed$/)
  assert.deepEqual(lines, [
    'n0 has left the group: /n0/data/0: EIO',
    'n0 has damaged entries and gets them from the others: 2',
    'n0 lacks what it once acknowledged, and gives no vote until it has it again',
  ])
})

describe('against a server', () => {
  const root = mkdtempSync(join(tmpdir(), 'ringledger-main-'))
  let server: RunningLedgerServer
  let where: string[] = []

  before(async () => {
    server = await startLedgerServer({
      ledger: { directory: join(root, 'store'), group: 'g', selfId: 'n0', segmentBytes: 65_536 },
      clients: [{ id: 'n0', host: '127.0.0.1', port: 0 }],
      log: () => {},
    })
    where = ['--group', 'g', '--clients', `n0-127.0.0.1:${server.clientPort}`]
  })

  after(async () => {
    await server.close()
    rmSync(root, { recursive: true, force: true })
  })

  const run = (name: string, ...args: string[]): Promise<LedgerRun> =>
    runLedger([name, ...where, ...args])

  it('appends texts, files and lines', async () => {
    const texts = await run('append', 'one', 'two')
    assert.equal(texts.code, 0, texts.err)
    assert.match(
      texts.out,
      /^index 1 {2}term 1 {2}position \d+\nindex 2 {2}term 1 {2}position \d+\n$/,
    )
    const file = join(root, 'file.bin')
    writeFileSync(file, Buffer.from([0, 255, 10]))
    assert.equal((await run('append', '--file', file)).code, 0)
    assert.equal((await run('get', '3', '--body', 'hex')).out, '00ff0a\n')
    const argv = ['append', ...where, '--lines', '--batch', '2', '--json']
    const lines = await runLedger(argv, { input: ['a\nb\n', 'c\n'] })
    assert.deepEqual(
      lines.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).entries),
      [2, 1],
    )
    const whole = await runLedger(['append', ...where], { input: ['all ', 'of it'] })
    assert.equal(whole.code, 0)
    assert.equal((await run('get', '7')).out, 'all of it\n')
    const twice = await run('append', '-c', '2', '-d', 'again')
    assert.equal(twice.out.split('\n').length, 3)
  })

  it('shows no byte that could steer a terminal', async () => {
    await run('append', 'red \u001b[31m\n')
    const { out } = await run('tail', '-n', '1')
    assert.match(out, /^\d+ {2}red \\u001b\[31m\\n\n$/)
    const index = out.split(' ')[0]!
    assert.equal((await run('get', index, '--raw')).out, 'red \u001b[31m\n')
  })

  it('tails the end, from an index, and a number of entries', async () => {
    const { out } = await run('tail', '--from', '1', '--max', '2')
    assert.equal(out, '1  one\n2  two\n')
    const last = await run('tail', '-n', '2', '--json')
    assert.equal(last.out.trim().split('\n').length, 2)
    assert.equal((await run('tail', '-n', '0')).out, '')
  })

  it('follows until it is interrupted', async () => {
    const stop = new AbortController()
    const argv = ['tail', ...where, '-f', '-n', '0', '--json']
    const shown = Promise.withResolvers<void>()
    const following = runLedger(argv, { signal: stop.signal, onOut: () => shown.resolve() })
    const tried = { from: server.ledger.status().committed.index + 1 }
    // It may look for the end before or after these, so they come until it shows one.
    while ((await Promise.race([shown.promise, run('append', 'come')])) !== undefined) {
      assert.ok(server.ledger.status().committed.index >= tried.from)
    }
    stop.abort()
    const { code, out } = await following
    assert.equal(code, 0)
    assert.equal(JSON.parse(out.split('\n')[0]!).text, 'come')
  })

  it('says why there is nothing', async () => {
    const opens = await run('get', '0')
    assert.deepEqual([opens.code, opens.out], [1, ''])
    assert.match(opens.err, /index 0 opens the term of a leader and holds no data/)
    const beyond = await run('get', '1000000')
    assert.match(beyond.err, /INDEX_OUT_OF_RANGE \(410\): the log ends at index \d+/)
    const asJson = await run('get', '1000000', '--json')
    assert.deepEqual([asJson.code, JSON.parse(asJson.err).mayCommit], [1, false])
    const group = await runLedger(['get', '1', '--group', 'other', ...where.slice(2)])
    assert.match(group.err, /this is a member of group g, not other/)
  })

  it('shows the members, and that one does not answer', async () => {
    const { code, out } = await run('status')
    assert.equal(code, 0)
    assert.match(out, /^Id +Address +Role .*\nn0 +127\.0\.0\.1:\d+ +leader +1 +n0 +0 +\d+ .* ok\n$/)
    const clients = `${where[3]};n1-127.0.0.1:1`
    const two = await runLedger(['status', '--group', 'g', '--clients', clients, '--json'])
    const { leaderId, members } = JSON.parse(two.out)
    assert.deepEqual([two.code, leaderId, members.length], [0, 'n0', 2])
    assert.match(members[1].error, /ECONNREFUSED/)
    const gone = await runLedger(['status', '--clients', 'n1-127.0.0.1:1'])
    assert.equal(gone.code, 1)
    assert.match(gone.out, /n1 does not answer: /)
  })

  it('does not check a store that is in use', async () => {
    const { code, err } = await runLedger(['verify', join(root, 'store')])
    assert.equal(code, 1)
    assert.match(err, /the store is in use/)
  })
})
