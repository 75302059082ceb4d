import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freeBasePort, QUICK_START_OFFSETS } from '../support/ports.ts'
import { type CommandResult, ROOT, runCommand } from '../support/run-command.ts'

interface Cluster {
  readonly directory: string
  readonly basePort: number
  run(verb: string, ...args: string[]): Promise<CommandResult>
}

async function newCluster(context: TestContext): Promise<Cluster> {
  const root = mkdtempSync(join(tmpdir(), 'quick-start-'))
  const directory = join(root, 'cluster')
  const run = (verb: string, ...args: string[]) =>
    runCommand(join(ROOT, 'fast-try.sh'), [...verb.split(' '), '--dir', directory, ...args])
  context.after(async () => {
    await run('clean')
    rmSync(root, { recursive: true, force: true })
  })
  return { directory, basePort: await freeBasePort(QUICK_START_OFFSETS), run }
}

/** Rows of the cluster table, as broker id by address. */
function idsOf(output: string): Map<string, number> {
  const rows = output.matchAll(/RaftCluster\s+RaftNode00\s+(\d+)\s+(127\.0\.0\.1:\d+)/g)
  return new Map([...rows].map(([, id, address]) => [address ?? '', Number(id)]))
}

function said({ stdout, stderr }: CommandResult): string {
  return `${stdout}\n${stderr}`
}

test('three nodes start, survive the loss of one, stop, and start again', async (context) => {
  const { basePort, run } = await newCluster(context)
  const first = await run('start', '--base-port', String(basePort))
  assert.equal(first.code, 0, said(first))
  assert.match(first.stdout, /Ready in \d+\.\d s/)
  const addresses = [21_035, 21_045, 21_055].map((offset) => `127.0.0.1:${basePort + offset}`)
  assert.deepEqual([...idsOf(first.stdout).keys()].sort(), addresses.sort())
  assert.ok([...idsOf(first.stdout).values()].includes(0), 'one broker has id 0')

  const again = await run('start')
  assert.equal(again.code, 0, said(again))
  assert.match(again.stdout, /runs already/)

  const killed = await run('kill leader')
  assert.equal(killed.code, 0, said(killed))
  const id = /^(n\d) killed/m.exec(killed.stdout)?.[1] ?? ''
  assert.equal((await run('status')).code, 3)
  const half = await run('start')
  assert.equal(half.code, 1)
  assert.match(half.stderr, new RegExp(`half stopped: .* do not\\n.*restart ${id}`))

  assert.equal((await run(`restart ${id}`)).code, 0)
  for (const node of ['n0', 'n1', 'n2']) await run(`kill ${node}`)
  const alone = await run('restart n0')
  assert.equal(alone.code, 0, said(alone))
  assert.match(alone.stdout, /waits for a majority/)
  for (const node of ['n1', 'n2']) assert.equal((await run(`restart ${node}`)).code, 0)
  const log = await run(`logs ${id}`)
  assert.match(log.stdout, /listens/)
  assert.equal((await run('stop')).code, 0)
  assert.equal((await run('status')).code, 3)

  const second = await run('start')
  assert.equal(second.code, 0, said(second))
  const whole = await run('status')
  assert.equal(whole.code, 0, said(whole))
  assert.equal(idsOf(whole.stdout).size, 3)
})

test('one node is a group of one; clean leaves nothing', async (context) => {
  const { basePort, directory, run } = await newCluster(context)
  const started = await run('start', '--nodes', '1', '--base-port', String(basePort))
  assert.equal(started.code, 0, said(started))
  assert.deepEqual([...idsOf(started.stdout).values()], [0])
  const config = readFileSync(join(directory, 'broker-n0.conf'), 'utf8')
  assert.match(config, new RegExp(`^listenPort=${basePort + 21_035}$`, 'm'))
  const other = await run('start', '--nodes', '3')
  assert.equal(other.code, 1)
  assert.match(other.stderr, /holds a cluster of 1 on base port/)
  assert.equal((await run('clean')).code, 0)
  assert.equal(existsSync(directory), false)
})

test('a busy port is named with its holder and another base port', async (context) => {
  const { basePort, directory, run } = await newCluster(context)
  const holder = createServer()
  await new Promise<void>((ready) => holder.listen(basePort + 31_036, '127.0.0.1', ready))
  context.after(() => holder.close())
  const result = await run('start', '--base-port', String(basePort))
  assert.equal(result.code, 1)
  assert.match(result.stderr, new RegExp(`port ${basePort + 31_036} \\(DLedger n1\\) is taken by`))
  assert.match(result.stderr, new RegExp(`pid ${process.pid} .*\\n.*--base-port \\d+`))
  assert.equal(existsSync(join(directory, 'cluster.json')), false)
})

test('a directory that cannot be written is said with the way out', async () => {
  const args = ['start', '--dir', '/proc/ringledger', '--base-port', '23456']
  const result = await runCommand(join(ROOT, 'fast-try.sh'), args)
  assert.equal(result.code, 1)
  assert.match(result.stderr, /cannot write to \/proc\/ringledger: .*--dir/)
})

test('verbs on a cluster that is not there say what to do', async (context) => {
  const { run } = await newCluster(context)
  const restarted = await run('restart n0')
  assert.equal(restarted.code, 1)
  assert.match(restarted.stderr, /there is no cluster in .*; first: \.\/fast-try\.sh start --dir/)
  assert.equal((await run('stop')).code, 0)
  assert.equal((await run('status')).code, 3)
  const unknown = await run('kill n7')
  assert.match(unknown.stderr, /there is no n7 here; there are namesrv, n0, n1, n2/)
})

test('every verb explains itself', async () => {
  for (const verb of ['', 'start', 'status', 'kill', 'restart', 'logs', 'stop', 'clean']) {
    const result = await runCommand(join(ROOT, 'fast-try.sh'), [
      ...verb.split(' ').filter(Boolean),
      '--help',
    ])
    assert.equal(result.code, 0)
    assert.match(result.stdout, /Usage: fast-try.sh/)
    assert.match(result.stdout, verb === '' ? /base-port/ : /--dir/)
  }
})
