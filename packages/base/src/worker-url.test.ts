import assert from 'node:assert/strict'
import { test } from 'node:test'
import { workerUrl } from './worker-url.ts'

test('a worker entry has the ending of the module that starts it', () => {
  const inSources = workerUrl('./io.worker.ts', 'file:///a/packages/io/src/io-launch.ts')
  assert.equal(inSources.href, 'file:///a/packages/io/src/io.worker.ts')
  const built = workerUrl('./io.worker.ts', 'file:///a/node_modules/x/dist/io-launch.js')
  assert.equal(built.href, 'file:///a/node_modules/x/dist/io.worker.js')
})
