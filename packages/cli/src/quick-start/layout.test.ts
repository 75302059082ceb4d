import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import { loadBrokerConfig } from '../config/broker-config.ts'
import { loadNameServerConfig } from '../config/name-server-config.ts'
import { writeConfigFiles } from './config-files.ts'
import { layoutOf, MAX_BASE_PORT, readChoices } from './layout.ts'
import { removeData } from './stop.ts'

function scratch(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'quick-start-'))
  context.after(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'cluster')
}

test("the ports are those of RocketMQ's own quick start, moved by the base port", () => {
  const ports = (basePort: number) => {
    const { nameServer, brokers } = layoutOf('/x', { basePort, nodes: 3 })
    return [nameServer.port, ...brokers.flatMap(({ port, peerPort }) => [port, peerPort])]
  }
  assert.deepEqual(ports(9876), [9876, 30911, 40911, 30921, 40912, 30931, 40913])
  assert.deepEqual(ports(9976), [9976, 31011, 41011, 31021, 41012, 31031, 41013])
  assert.ok(ports(MAX_BASE_PORT).every((port) => port !== undefined && port <= 65_535))
})

test('the files that are written are taken by the servers without a warning', (context) => {
  for (const nodes of [1, 3]) {
    const layout = layoutOf(scratch(context), { basePort: 9876, nodes })
    writeConfigFiles(layout)
    const { options, warnings } = loadNameServerConfig(layout.nameServer.configPath)
    assert.deepEqual([options.listenPort, warnings], [9876, []])
    for (const { configPath, id, port } of layout.brokers) {
      const { settings, warnings } = loadBrokerConfig(configPath)
      assert.deepEqual(warnings, [])
      assert.deepEqual(
        [settings.dLegerSelfId, settings.listenPort, settings.peers.length],
        [id, port, nodes],
      )
    }
  }
})

test('the directory remembers its cluster; edited files stay', (context) => {
  const directory = scratch(context)
  assert.equal(readChoices(directory), undefined)
  const layout = layoutOf(directory, { basePort: 12_000, nodes: 1 })
  writeConfigFiles(layout)
  const path = layout.brokers[0]!.configPath
  writeFileSync(path, 'listenPort=1\n')
  writeConfigFiles(layout)
  assert.deepEqual(readChoices(directory), { basePort: 12_000, nodes: 1 })
  assert.equal(loadBrokerConfig(path).settings.listenPort, 1)
})

test('a damaged marker is said, not guessed', (context) => {
  const directory = scratch(context)
  writeConfigFiles(layoutOf(directory, { basePort: 12_000, nodes: 1 }))
  writeFileSync(join(directory, 'cluster.json'), '{"basePort":')
  assert.throws(() => readChoices(directory), LedgerError)
})

test('clean deletes only what the quick start made', (context) => {
  const directory = scratch(context)
  const layout = layoutOf(directory, { basePort: 12_000, nodes: 3 })
  writeConfigFiles(layout)
  writeFileSync(join(directory, 'notes.txt'), 'mine')
  removeData(layout)
  assert.equal(readChoices(directory), undefined)
  writeConfigFiles(layout)
  rmSync(join(directory, 'notes.txt'))
  removeData(layout)
  assert.throws(() => writeFileSync(join(directory, 'x'), ''), /ENOENT/)
})
