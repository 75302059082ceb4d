import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { LedgerError } from '@ringledger/base'
import { lockStore } from './lock.ts'

const MODULE = fileURLToPath(new URL('./lock.ts', import.meta.url))

async function lockPath(t: { after(clean: () => Promise<void>): void }): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ringledger-lock-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return join(directory, 'lock')
}

function refused(path: string, pattern: RegExp): void {
  assert.throws(
    () => lockStore(path),
    (error) =>
      error instanceof LedgerError && error.code === 'BAD_REQUEST' && pattern.test(error.message),
  )
}

test('a store is locked once, and free after release', async (t) => {
  const path = await lockPath(t)
  const lock = lockStore(path)
  refused(path, new RegExp(`process ${process.pid}, which is running`))
  lock.refresh()
  lock.release()
  lockStore(path).release()
  assert.deepEqual(await readdir(join(path, '..')), [])
})

test('the lock of a killed process is taken over, that of a living one is not', async (t) => {
  const path = await lockPath(t)
  const code = `import { lockStore } from ${JSON.stringify(MODULE)}
    lockStore(${JSON.stringify(path)}); process.stdout.write('locked'); process.stdin.resume()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code])
  await once(child.stdout, 'data')
  refused(path, new RegExp(`process ${child.pid}, which is running`))
  child.kill('SIGKILL')
  await once(child, 'exit')
  const lock = lockStore(path)
  assert.match(await readFile(path, 'utf8'), new RegExp(`"processId":${process.pid}`))
  lock.release()
})

test('a process id that was given to another process does not count as the holder', async (t) => {
  const path = await lockPath(t)
  const lock = lockStore(path)
  const holder = JSON.parse(await readFile(path, 'utf8'))
  lock.release()
  await writeFile(path, JSON.stringify({ ...holder, startTime: '1' }))
  lockStore(path).release()
})

test('a holder in another container is gone only after its silence', async (t) => {
  const path = await lockPath(t)
  const lock = lockStore(path)
  const holder = JSON.parse(await readFile(path, 'utf8'))
  lock.release()
  await writeFile(path, JSON.stringify({ ...holder, namespace: 'pid:[1]' }))
  refused(path, /another container .*more of silence/)
  const longAgo = new Date(Date.now() - 60_000)
  await utimes(path, longAgo, longAgo)
  lockStore(path).release()
})

test('a holder notices that its lock was taken away', async (t) => {
  const path = await lockPath(t)
  const lock = lockStore(path)
  await writeFile(path, 'someone else')
  assert.throws(
    () => lock.refresh(),
    (error) => error instanceof LedgerError && error.code === 'DISK_FAILED',
  )
  lock.release()
  assert.equal(await readFile(path, 'utf8'), 'someone else')
})

test('a bit that flips in a held lock is set right', async (t) => {
  const path = await lockPath(t)
  const lock = lockStore(path)
  const before = await readFile(path)
  for (const at of [0, 15, before.length - 2]) {
    const rotten = Buffer.from(before)
    rotten[at]! ^= 1
    await writeFile(path, rotten)
    lock.refresh()
    assert.deepEqual(await readFile(path), before)
  }
  lock.release()
})
