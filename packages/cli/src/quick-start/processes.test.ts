import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { writeConfigFiles } from './config-files.ts'
import { type ClusterLayout, HOST, layoutOf } from './layout.ts'
import { isPortFree, portHolder } from './ports.ts'
import { checkPorts, checkWritable } from './preflight.ts'
import { processStart, runningPid, signalMember, startProcess, waitGone } from './processes.ts'
import { killMember, stopMember } from './stop.ts'

const notLinux = process.platform === 'linux' ? false : 'only Linux has /proc'

async function listen(port: number): Promise<Server> {
  const server = createServer()
  await new Promise<void>((ready) => server.listen(port, HOST, ready))
  return server
}

/** A base port low enough for the ports that are counted from it. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 15_000)
    if (await isPortFree(HOST, port)) return port
  }
}

/** A layout whose name server has a port of its own; the brokers of these tests never start. */
async function scratchLayout(context: TestContext): Promise<ClusterLayout> {
  const root = mkdtempSync(join(tmpdir(), 'quick-start-'))
  context.after(() => rmSync(root, { recursive: true, force: true }))
  const layout = layoutOf(join(root, 'c'), { basePort: await freePort(), nodes: 1 })
  writeConfigFiles(layout)
  context.after(() => killMember(layout.nameServer))
  return layout
}

test('a process starts detached, tells when it listens, and ends on SIGTERM', async (context) => {
  const { nameServer } = await scratchLayout(context)
  assert.equal(runningPid(nameServer), undefined)
  const started = startProcess(nameServer)
  assert.equal(await started.reached('listening'), true)
  started.release()
  assert.equal(runningPid(nameServer), started.pid)
  assert.equal(await isPortFree(HOST, nameServer.port), false)
  assert.equal(await stopMember(nameServer), true)
  assert.equal(await stopMember(nameServer), false)
  assert.equal(await isPortFree(HOST, nameServer.port), true)
  assert.match(readFileSync(nameServer.logPath, 'utf8'), /INFO {2}closed/)
})

test('a process that cannot start is told from one that listens', async (context) => {
  const { nameServer } = await scratchLayout(context)
  writeFileSync(nameServer.configPath, 'listenPort=here\n')
  const started = startProcess(nameServer)
  assert.equal(await started.reached('listening'), false)
  started.release()
  assert.match(readFileSync(nameServer.logPath, 'utf8'), /namesrv.conf:1: listenPort="here"/)
})

test('a number that the system has handed out again is not signalled', async (context) => {
  const { nameServer } = await scratchLayout(context)
  writeFileSync(nameServer.pidPath, JSON.stringify({ pid: process.pid, started: 'long ago' }))
  assert.equal(runningPid(nameServer), undefined)
  assert.equal(signalMember(nameServer, 'SIGKILL'), false)
  writeFileSync(nameServer.pidPath, '{"pid":')
  assert.equal(runningPid(nameServer), undefined)
})

test('the start time of a process is its own', () => {
  assert.equal(processStart(process.pid), processStart(process.pid))
  assert.notEqual(processStart(process.pid), undefined)
  assert.notEqual(processStart(process.pid), processStart(process.ppid))
})

test('waiting for the end of a process is bounded', async (context) => {
  const { nameServer } = await scratchLayout(context)
  const started = processStart(process.pid)
  writeFileSync(nameServer.pidPath, JSON.stringify({ pid: process.pid, started }))
  assert.equal(await waitGone(nameServer, 1), false)
  rmSync(nameServer.pidPath)
})

test('a busy port is named with its holder and a way out', async (context) => {
  const layout = await scratchLayout(context)
  const other = await listen(layout.nameServer.port)
  context.after(() => other.close())
  await assert.rejects(checkPorts(layout), (error: Error) => {
    assert.match(
      error.message,
      new RegExp(`port ${layout.nameServer.port} \\(name server\\) is taken`),
    )
    assert.match(error.message, /--base-port \d+ --dir/)
    if (process.platform === 'linux') assert.match(error.message, new RegExp(`pid ${process.pid} `))
    return true
  })
})

test('the local end of a connection is told from a server', { skip: notLinux }, async (context) => {
  const server = await listen(await freePort())
  const { port } = server.address() as AddressInfo
  const socket = connect(port, HOST)
  context.after(() => {
    socket.destroy()
    server.close()
  })
  await once(socket, 'connect')
  assert.match(portHolder(port) ?? '', new RegExp(`^pid ${process.pid} `))
  const own = portHolder(socket.localPort ?? 0) ?? ''
  assert.match(own, new RegExp(`^an outgoing connection of pid ${process.pid} `))
})

test('nobody holds a free port', async () => {
  assert.equal(portHolder(await freePort()), undefined)
})

test('a directory that cannot be made is refused before anything is started', async (context) => {
  const { directory } = await scratchLayout(context)
  const file = join(directory, 'file')
  writeFileSync(file, '')
  assert.throws(() => checkWritable(file), /a file is in the way; choose another directory/)
  assert.throws(() => checkWritable(join(file, 'below')), /a file is in the way/)
  assert.throws(() => checkWritable('/proc/ringledger'), /cannot write to \/proc\/ringledger/)
})
