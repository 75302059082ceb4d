import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ROOT, runCommand } from '../support/run-command.ts'
import { Network, noNamespaces, type Server } from './namespaces.ts'
import { ServerProcess } from './server-process.ts'

const FILES = join(ROOT, 'docs/operate/three-servers')
const NAME_SERVERS = '10.0.0.11:9876;10.0.0.12:9876;10.0.0.13:9876'
const ATTEMPTS = 40

interface Deployment {
  readonly network: Network
  readonly servers: readonly Server[]
  admin(...args: string[]): Promise<string>
}

/** The documented files; only the data directory is another. */
function writeFiles(directory: string, index: number): { broker: string; nameServer: string } {
  const own = join(directory, `server-${index}`)
  mkdirSync(own)
  const copy = (name: string): string => {
    const text = readFileSync(join(FILES, name), 'utf8').replaceAll('/var/lib/ringledger', own)
    writeFileSync(join(own, name), text)
    return join(own, name)
  }
  return { broker: copy(`broker-n${index}.conf`), nameServer: copy('namesrv.conf') }
}

async function deploy(context: TestContext): Promise<Deployment> {
  const directory = mkdtempSync(join(tmpdir(), 'three-servers-'))
  context.after(() => rmSync(directory, { recursive: true, force: true }))
  const network = new Network()
  context.after(() => network.remove())
  const servers = [0, 1, 2].map((index) => network.join(`n${index}`, `10.0.0.1${index + 1}`))
  network.join('client', '10.0.0.21')
  const started: ServerProcess[] = []
  context.after(() => Promise.all(started.map((process) => process.stop('SIGKILL'))))
  const start = (name: string, command: string, config: string): ServerProcess => {
    const line = [...network.on(name), join(ROOT, 'bin', command), '-c', config]
    const process = new ServerProcess('ip', line)
    started.push(process)
    return process
  }
  const files = servers.map((_, index) => writeFiles(directory, index))
  const nameServers = files.map(({ nameServer }, at) => start(`n${at}`, 'mqnamesrv', nameServer))
  await Promise.all(nameServers.map((process) => process.reached('listening')))
  const brokers = files.map(({ broker }, at) => start(`n${at}`, 'mqbroker', broker))
  await Promise.all(brokers.map((process) => process.reached('serving')))
  const admin = async (...args: string[]): Promise<string> => {
    const line = [...network.on('client'), join(ROOT, 'bin/mqadmin'), ...args, '-n', NAME_SERVERS]
    const { code, stdout, stderr } = await runCommand('ip', line)
    assert.equal(code, 0, stderr)
    return stdout
  }
  return { network, servers, admin }
}

/** Broker id by address, asked again until `accept` takes it; bounded by its attempts. */
async function clusterUntil(
  { admin }: Deployment,
  accept: (ids: Map<string, number>) => boolean,
): Promise<Map<string, number>> {
  let ids = new Map<string, number>()
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const rows = (await admin('clusterList')).matchAll(/RaftNode00\s+(\d+)\s+([\d.]+):10911/g)
    ids = new Map([...rows].map(([, id, address]) => [address ?? '', Number(id)]))
    if (accept(ids)) return ids
  }
  return assert.fail(`the cluster table stays ${JSON.stringify([...ids])}`)
}

function leaderOf(ids: ReadonlyMap<string, number>): string | undefined {
  return [...ids].find(([, id]) => id === 0)?.[0]
}

test('the documented files make a group over three servers', {
  skip: noNamespaces(),
}, async (context) => {
  const deployment = await deploy(context)
  const { admin, network, servers } = deployment
  const ids = await clusterUntil(deployment, (all) => all.size === 3 && leaderOf(all) !== undefined)
  assert.deepEqual([...ids.keys()].sort(), ['10.0.0.11', '10.0.0.12', '10.0.0.13'])
  await admin('sendMessage', '-t', 'TopicTest', '-p', 'before')

  const leader = leaderOf(ids)
  const lost = servers.find(({ address }) => address === leader)
  assert.ok(lost)
  network.cut(lost.name)
  await clusterUntil(deployment, (all) => ![undefined, leader].includes(leaderOf(all)))
  await admin('sendMessage', '-t', 'TopicTest', '-p', 'after')
  network.heal(lost.name)
  await clusterUntil(deployment, (all) => all.size === 3)
  const messages = await admin('consumeMessage', '-t', 'TopicTest')
  assert.match(messages, /before/)
  assert.match(messages, /after/)
})
