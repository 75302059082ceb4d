import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { OwnProcess } from '../harness/line-process.ts'
import { freeBasePort } from '../support/ports.ts'
import { type CommandResult, ROOT, runCommand } from '../support/run-command.ts'

const LIMITS = { timeout: 60_000 }
const COMMAND = join(ROOT, 'packages/cli/bin/mqbroker.mjs')
let directory = ''

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'start-errors-'))
})
after(() => rmSync(directory, { recursive: true, force: true }))

interface Node {
  readonly listenPort: number
  readonly peerPort: number
  readonly store: string
}

async function node(store: string): Promise<Node> {
  const listenPort = await freeBasePort([0, 1])
  return { listenPort, peerPort: listenPort + 1, store: join(directory, store) }
}

function configOf({ listenPort, peerPort, store }: Node): string {
  const path = join(directory, `${listenPort}.conf`)
  const lines = [
    'brokerIP1=127.0.0.1',
    'bindAddress=127.0.0.1',
    `listenPort=${listenPort}`,
    `storePathRootDir=${store}`,
    'enableDLegerCommitLog=true',
    `dLegerPeers=n0-127.0.0.1:${peerPort}`,
    'dLegerSelfId=n0',
    'mappedFileSizeCommitLog=67108864',
  ]
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}

async function start(broken: Node): Promise<CommandResult> {
  return await runCommand(process.execPath, [COMMAND, '-c', configOf(broken)])
}

/** One node that serves, until the test ends. */
async function running(context: TestContext, store: string): Promise<[Node, OwnProcess]> {
  const settings = await node(store)
  const broker = new OwnProcess({
    command: process.execPath,
    args: [COMMAND, '-c', configOf(settings)],
    env: { ...process.env, RINGLEDGER_READY_FD: '3' },
    logPath: join(directory, `${settings.listenPort}.log`),
  })
  context.after(() => broker.end('SIGKILL'))
  await new Promise<void>((resolve) => {
    broker.readSteps((step) => {
      if (step === 'serving') resolve()
    })
  })
  return [settings, broker]
}

function assertRefused({ code, stderr }: CommandResult, reason: RegExp): void {
  assert.equal(code, 1, stderr)
  assert.match(stderr, reason)
  assert.equal(stderr.trimEnd().split('\n').length, 1, `one line, not\n${stderr}`)
}

for (const which of ['listenPort', 'peerPort'] as const) {
  test(`a busy ${which} is named`, LIMITS, async (context) => {
    const broken = await node(`busy-${which}`)
    const holder = createServer()
    context.after(() => holder.close())
    await new Promise<void>((resolve) => holder.listen(broken[which], '127.0.0.1', resolve))
    assertRefused(await start(broken), new RegExp(`port ${broken[which]} on 127.0.0.1 is in use`))
  })
}

test('a store belongs to one process', LIMITS, async (context) => {
  const [first] = await running(context, 'shared')
  const second = { ...(await node('other')), store: first.store }
  assertRefused(await start(second), /the store is in use: .* is held by process \d+/)
})

test('a directory that cannot be made is named', LIMITS, async () => {
  const file = join(directory, 'a-file')
  writeFileSync(file, '')
  assertRefused(await start(await node('a-file/store')), /a-file\/store.* failed: ENOTDIR/)
})

test('a damaged term and vote is never guessed', LIMITS, async (context) => {
  const [good, broker] = await running(context, 'good')
  await broker.end('SIGTERM')
  for (const [name, damage] of [
    ['garbage', 'x'.repeat(9000)],
    ['empty', ''],
  ] as const) {
    const broken = await node(name)
    cpSync(good.store, broken.store, { recursive: true })
    writeFileSync(join(broken.store, 'dledger-n0/ringledger-hardstate'), damage)
    assertRefused(await start(broken), /neither copy of the term and vote in .* is readable/)
  }
})
