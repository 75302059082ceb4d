import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressText, clientsOfPeers, parseClients, parsePeers } from './peers.ts'

test("members are read as DLedger's command line spells them", () => {
  assert.deepEqual(parsePeers('n0-localhost:20911; n1-my-host.example:20912;', '--peers'), [
    { id: 'n0', host: 'localhost', port: 20911 },
    { id: 'n1', host: 'my-host.example', port: 20912 },
  ])
  assert.deepEqual(parsePeers('n0-[::1]:1', '--peers'), [{ id: 'n0', host: '::1', port: 1 }])
})

test('clients may be plain addresses, whose ids are asked', () => {
  assert.deepEqual(parseClients('127.0.0.1:21911,n1-127.0.0.1:21912', '--clients'), [
    { id: '', host: '127.0.0.1', port: 21911 },
    { id: 'n1', host: '127.0.0.1', port: 21912 },
  ])
})

test('client ports lie 1000 above those for peers', () => {
  const [client] = clientsOfPeers(parsePeers('n0-[::1]:20911', '--peers'))
  assert.equal(addressText(client!), '[::1]:21911')
  assert.throws(() => clientsOfPeers(parsePeers('n0-a:65000', '--peers')), {
    code: 'BAD_CONFIG',
    message: /n0: its client port would be 66000; say where with --clients n0-a:port/,
  })
})

test('what is no list of members is refused by name', () => {
  const wrong = ['', ';', 'localhost:1', 'n0-localhost', 'n0-localhost:x', 'n0-a:65536', 'n0-:1']
  for (const text of [...wrong, 'n0-a:1;n0-b:2']) {
    assert.throws(
      () => parsePeers(text, '--peers'),
      { code: 'BAD_CONFIG', message: /--peers/ },
      text,
    )
  }
  assert.throws(() => parseClients('n0-a:1;n0-b:2', '--clients'), { code: 'BAD_CONFIG' })
})
