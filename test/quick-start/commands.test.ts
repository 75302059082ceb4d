import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { freeBasePort } from '../support/ports.ts'
import { ROOT, runCommand } from '../support/run-command.ts'

const BROKER = join(ROOT, 'bin/mqbroker')
const NAME_SERVER = join(ROOT, 'bin/mqnamesrv')

function confWith(context: TestContext, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'commands-'))
  context.after(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'server.conf')
  writeFileSync(path, text)
  return path
}

test('-p prints a configuration that reads back as itself', async (context) => {
  const path = confWith(context, 'brokerName=b-1\nbrokerIP1=10.0.0.1\nnamesrvAddr=10.0.0.9:9876\n')
  const first = await runCommand(BROKER, ['-c', path, '-p'])
  assert.equal(first.code, 0, first.stderr)
  assert.match(first.stdout, /^# SYNC_FLUSH is the default here.*\nflushDiskType=SYNC_FLUSH$/m)
  assert.match(first.stdout, /^brokerName=b-1$/m)
  const second = await runCommand(BROKER, ['-c', confWith(context, first.stdout), '-p'])
  assert.equal(second.stdout, first.stdout)
})

test('-n stands over the file', async (context) => {
  const path = confWith(context, 'namesrvAddr=10.0.0.9:9876\n')
  const { stdout } = await runCommand(BROKER, ['-c', path, '-n', '10.0.0.7:9876', '-p'])
  assert.match(stdout, /^namesrvAddr=10\.0\.0\.7:9876$/m)
})

test('a configuration that is refused ends with 1 and says where and why', async (context) => {
  const path = confWith(context, 'listenPort=10911\ndLedgerSelfId=n0\n')
  const result = await runCommand(BROKER, ['-c', path])
  assert.equal(result.code, 1)
  assert.equal(
    result.stderr,
    `mqbroker: ${path}:2: unknown setting "dLedgerSelfId"; did you mean "dLegerSelfId"?\n`,
  )
})

test('a busy port is one line, not a stack', async (context) => {
  const port = await freeBasePort([0])
  const text = `listenPort=${port}\nbindAddress=127.0.0.1\nkvConfigPath=${tmpdir()}/commands-kv.json\n`
  const path = confWith(context, text)
  const first = spawn(NAME_SERVER, ['-c', path], { stdio: ['ignore', 'pipe', 'inherit'] })
  context.after(() => first.kill('SIGKILL'))
  await once(first.stdout, 'data')
  const second = await runCommand(NAME_SERVER, ['-c', path])
  assert.equal(second.code, 1)
  assert.match(second.stderr, new RegExp(`^mqnamesrv: .*${port}.*\\n$`))
  first.kill('SIGTERM')
  assert.deepEqual(await once(first, 'exit'), [0, null])
})

test('help names every option', async () => {
  for (const [program, option] of [
    [BROKER, '--namesrvAddr'],
    [NAME_SERVER, '--configFile'],
    [join(ROOT, 'bin/mqadmin'), 'clusterList'],
  ] as const) {
    const { code, stdout } = await runCommand(program, ['--help'])
    assert.equal(code, 0)
    assert.ok(stdout.includes(option), stdout)
  }
})
