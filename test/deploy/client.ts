/**
 * A client on a server of its own, driven by lines. As `load <name servers> <topic>` it writes from
 * the start on; `more <count>` waits for so many more acknowledgements, `end` stops and audits. As
 * `send <address> <topic>` it sends to that broker only, until it is answered.
 */
import { createInterface } from 'node:readline'
import { RemotingClient } from '@ringledger/network'
import { audit } from '../load/audit.ts'
import { loadBody, newRun, sendRequest } from '../load/load-message.ts'
import { Soak } from '../load/soak.ts'

const SEND_TIMEOUT_MS = 60_000

async function load(nameServer: string, topic: string): Promise<void> {
  const soak = new Soak({ nameServer, topic })
  for await (const line of createInterface(process.stdin)) {
    if (line === 'end') break
    await soak.record.more(Number(line.replace('more ', '')))
    say({ done: line })
  }
  const record = await soak.end()
  say({ summary: record.summary(), audit: await audit(nameServer, record) })
}

async function send(address: string, topic: string): Promise<void> {
  const client = new RemotingClient()
  await client.connect(address)
  const request = sendRequest(topic, 0, loadBody(newRun(), 0, 100))
  const { code, remark } = await client.request(request, SEND_TIMEOUT_MS)
  say({ code, remark })
  await client.close()
}

function say(what: unknown): void {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

const [verb, target = '', topic = ''] = process.argv.slice(2)
await (verb === 'load' ? load(target, topic) : send(target, topic))
