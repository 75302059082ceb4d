import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { NAME_SERVER_DEFAULTS } from '@ringledger/name-server'
import type { ConfigEnvironment } from './environment.ts'
import { loadNameServerConfig } from './name-server-config.ts'

const environment: ConfigEnvironment = {
  variables: {},
  homeDirectory: '/home/op',
  hostName: 'host-1',
  address: '10.1.2.3',
  cores: 2,
  memoryBytes: 1_000,
}

function fileWith(context: TestContext, text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'namesrv-conf-'))
  context.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'namesrv.conf')
  writeFileSync(path, text)
  return path
}

test('defaults are those of the name server', () => {
  const { options } = loadNameServerConfig(undefined, environment)
  const { listenPort, bindAddress, serverChannelMaxIdleTimeSeconds, ...settings } =
    NAME_SERVER_DEFAULTS
  assert.equal(options.listenPort, listenPort)
  assert.equal(options.host, bindAddress)
  assert.equal(options.idleTimeoutMs, serverChannelMaxIdleTimeSeconds * 1_000)
  assert.deepEqual(options.settings, settings)
  assert.equal(options.kvConfigPath, '/home/op/namesrv/kvConfig.json')
})

test('changes by mqadmin go to the file that the next start reads', (context) => {
  const path = fileWith(context, 'listenPort=19876\nserverWorkerThreads=8\n')
  const { options, warnings } = loadNameServerConfig(path, environment)
  assert.equal(options.configStorePath, path)
  assert.equal(options.listenPort, 19876)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0]!, /namesrv.conf:2: "serverWorkerThreads" is a RocketMQ setting/)
})

test('what is unknown or malformed is refused', (context) => {
  const path = fileWith(context, 'listenport=1\nbindAddress=here\n')
  assert.throws(
    () => loadNameServerConfig(path, environment),
    /namesrv.conf:1: unknown setting "listenport"; did you mean "listenPort"\?\n.*:2: bindAddress/,
  )
})
