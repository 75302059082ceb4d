import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'

const LIFECYCLE = new URL('./lifecycle.ts', import.meta.url).href

/** A command whose server closes as `close` says; it writes `ready`, then `closing`. */
async function command(context: TestContext, close: string): Promise<ChildProcess> {
  const script = `
    import { closeOnSignals } from ${JSON.stringify(LIFECYCLE)}
    const log = { info: (_, m) => console.log(m), warn() {}, error() {} }
    closeOnSignals({ close: () => ${close} }, log)
    setInterval(() => {}, 1000)
    console.log('ready')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  context.after(() => child.kill('SIGKILL'))
  await said(child, 'ready')
  return child
}

async function said(child: ChildProcess, word: string): Promise<void> {
  let text = ''
  for await (const chunk of child.stdout!.iterator({ destroyOnReturn: false })) {
    text += chunk
    if (text.includes(word)) return
  }
  assert.fail(`ended after: ${text}`)
}

test('the first signal closes and ends with 0', async (context) => {
  const child = await command(context, 'Promise.resolve()')
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test('a failed close ends with 1', async (context) => {
  const child = await command(context, "Promise.reject(new Error('disk'))")
  child.kill('SIGINT')
  assert.deepEqual(await once(child, 'exit'), [1, null])
})

test('the second signal ends a close that does not', async (context) => {
  const child = await command(context, 'new Promise(() => {})')
  child.kill('SIGTERM')
  await said(child, 'closing')
  child.kill('SIGINT')
  assert.deepEqual(await once(child, 'exit'), [130, null])
})
