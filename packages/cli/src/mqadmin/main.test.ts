import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { FakeCluster, runAdmin } from './cluster-fake.ts'
import { commands } from './commands/index.ts'

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

test('help is there for the program and for every command', async () => {
  const help = await runAdmin(['--help'])
  assert.equal(help.code, 0)
  for (const { name, options } of commands) {
    assert.match(help.out, new RegExp(`\\b${name}\\b`))
    for (const argv of [
      [name, '--help'],
      [name, '-h'],
      ['help', name],
    ]) {
      const { code, out, err } = await runAdmin(argv)
      assert.deepEqual([code, err], [0, ''], argv.join(' '))
      assert.match(out, /--json/)
      for (const { flags } of options) assert.ok(out.includes(flags), `${name} ${flags}`)
    }
  }
})

test('what is not understood ends with 64', async () => {
  const wrong = [
    [],
    ['nonsense'],
    ['clusterList', '--nonsense'],
    ['clusterList', 'nonsense'],
    ['topicRoute'],
    ['topicRoute', '-t'],
    ['updateTopic', '-t', 'T'],
    ['updateTopic', '-t', 'T', '-b', '127.0.0.1:1', '-c', 'C'],
    ['updateTopic', '-t', 'T', '-c', 'C', '-r', '0'],
    ['updateTopic', '-t', 'T', '-c', 'C', '-p', '7'],
    ['updateTopic', '-t', 'T', '-c', 'C', '-o', 'yes'],
    ['brokerStatus'],
    ['clusterList', '-n', 'nowhere'],
    ['clusterList', '-n', ' '],
    ['queryMsgById', '-t', 'T', '-i', 'xyz'],
    ['queryMsgByKey', '-t', 'T', '-k', 'k', '-b', 'yesterday'],
    ['sendMessage', '-t', 'T', '-p', 'x', '-i', '1'],
    ['consumeMessage', '-t', 'T', '-i', '1'],
    ['consumeMessage', '-t', 'T', '-b', 'b', '-o', '1'],
    ['consumeMessage', '-t', 'T', '-s', 'yesterday'],
    ['resetOffsetByTime', '-g', 'g', '-t', 'T', '-s', 'tomorrow'],
    ['resetOffsetByTime', '-g', 'g', '-t', 'T', '-s', 'now', '-o', '1'],
    ['updateSubGroup', '-g', 'g', '-c', 'C', '-p', '{}'],
  ]
  for (const argv of wrong) {
    const { code, out, err } = await runAdmin(argv)
    assert.deepEqual([code, out], [64, ''], argv.join(' '))
    assert.notEqual(err, '', argv.join(' '))
  }
})

test('a name server that does not answer is said with the way out', async () => {
  const address = `127.0.0.1:${await freePort()}`
  const byOption = await runAdmin(['clusterList', '-n', address])
  assert.equal(byOption.code, 1)
  assert.equal(byOption.out, '')
  assert.match(
    byOption.err,
    new RegExp(`^mqadmin: no name server answers at ${address}: nobody listens`),
  )
  assert.match(byOption.err, /start one with: mqnamesrv/)
  assert.match(byOption.err, /-n host:port, or NAMESRV_ADDR=host:port/)
  const byEnvironment = await runAdmin(['topicList'], { NAMESRV_ADDR: address })
  assert.match(byEnvironment.err, /\(from NAMESRV_ADDR\)/)
})

test('the next name server is asked when the first is away', async (t) => {
  const cluster = await FakeCluster.start()
  t.after(() => cluster.close())
  const addresses = `127.0.0.1:${await freePort()};${cluster.nameServerAddress}`
  const { code, out } = await runAdmin(['clusterList', '-n', addresses])
  assert.equal(code, 0)
  assert.equal(out, 'no broker has registered at this name server\n')
})

test('-n goes before NAMESRV_ADDR', async (t) => {
  const cluster = await FakeCluster.start()
  t.after(() => cluster.close())
  const environment = { NAMESRV_ADDR: `127.0.0.1:${await freePort()}` }
  const { code } = await runAdmin(['topicList', '-n', cluster.nameServerAddress], environment)
  assert.equal(code, 0)
})

test('a server that is no name server gives an error, not a crash', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const { code, err } = await runAdmin(['clusterList', '-n', `127.0.0.1:${port}`])
  assert.equal(code, 1)
  assert.match(err, /no name server answers/)
})
