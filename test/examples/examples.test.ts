import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** What an example prints; it must end by itself, and well. */
async function outputOf(name: string, ...args: string[]): Promise<string> {
  const path = fileURLToPath(new URL(`../../examples/${name}.ts`, import.meta.url))
  const { stdout } = await execute(process.execPath, [path, ...args])
  return stdout
}

test('the append log appends, follows its tail and is there after a restart', async () => {
  const output = await outputOf('append-log')
  assert.match(output, /follower of the tail: 5/)
  assert.match(output, /after the restart: "the first entry"\nread 10004 entries\n$/)
})

test('the register is read linearizably through changes of leader', async () => {
  const output = await outputOf('register')
  assert.match(output, /n\d leads: wrote blue, read blue/)
  assert.match(output, /after a transfer: read blue/)
  assert.match(output, /is gone, n\d leads: (green|red)/)
  assert.match(output, /knows: shape = ring/)
})

test('the counter goes on from its snapshot, in the same call and in the next one', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-counter-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  assert.match(await outputOf('counter', '--directory', directory), /after a restart: 4500, /)
  const output = await outputOf('counter', '-d', directory)
  assert.match(output, /loaded the snapshot of index \d+: \d+\nstarts at 4500\n/)
  assert.match(output, /after a restart: 9000, with a log from index [1-9]\d* on/)
})

test('every example says what it does', async () => {
  for (const name of ['append-log', 'register', 'counter']) {
    assert.match(await outputOf(name, '--help'), new RegExp(`^Usage: node ${name}.ts`))
  }
})
