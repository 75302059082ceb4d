import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openStore } from './recovery.ts'

const PRINTER = fileURLToPath(new URL('./durable-printer-fake.ts', import.meta.url))

/**
 * Runs the printer until it has printed `lines` more positions, kills it, and returns the last one
 * that arrived.
 */
async function runAndKill(rootDirectory: string, lines: number): Promise<number> {
  const child = spawn(process.execPath, [PRINTER, rootDirectory, 'n0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let last = 0
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line.split(' ')[0])
    if (++seen === lines) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  assert.equal(child.signalCode, 'SIGKILL')
  return last
}

test('a process killed again and again loses nothing it called durable', {
  timeout: 120_000,
}, async (t) => {
  const rootDirectory = await mkdtemp(join(tmpdir(), 'ringledger-kill-'))
  t.after(() => rm(rootDirectory, { recursive: true, force: true }))
  let end = 0
  for (const lines of [1, 30, 45, 7]) {
    const durable = await runAndKill(rootDirectory, lines)
    assert.ok(durable > end, 'each life goes on where the one before ended')
    const config = { rootDirectory, selfId: 'n0', segmentBytes: 256 * 1024, minimumFreeBytes: 1 }
    const { store, recovered } = openStore(config)
    store.abandon()
    assert.ok(recovered.tail.endPosition >= durable, `${recovered.tail.endPosition} >= ${durable}`)
    // A write that the kill cut in two was never called durable.
    assert.deepEqual(
      recovered.damage.filter(({ position }) => position < durable),
      [],
    )
    assert.equal(recovered.cleanShutdown, false)
    end = recovered.tail.endPosition
  }
})
