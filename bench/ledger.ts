/**
 * Appends through `openLedger` with a fixed number in flight, all members in this process:
 * `node bench/ledger.ts --members 3`. Prints acknowledged appends per second and their latency.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { appendLoad, openGroup, readAll } from './load/append-load.ts'

const { values } = parseArgs({
  options: {
    members: { type: 'string', default: '1' },
    'in-flight': { type: 'string', default: '256' },
    bytes: { type: 'string', default: '1024' },
    seconds: { type: 'string', default: '5' },
    durability: { type: 'string', default: 'sync' },
    directory: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  console.log(`Usage: node bench/ledger.ts [--members 1] [--in-flight 256] [--bytes 1024]
       [--seconds 5] [--durability sync|memory] [--directory <where the logs lie meanwhile>]`)
} else {
  const directory = mkdtempSync(join(values.directory, 'ringledger-bench-'))
  try {
    await measure(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function measure(directory: string): Promise<void> {
  const durability = values.durability === 'memory' ? 'memory' : 'sync'
  const { leader, close } = await openGroup(directory, Number(values.members), durability)
  const body = Buffer.alloc(Number(values.bytes), 7)
  const inFlight = Number(values['in-flight'])
  await appendLoad(leader, body, inFlight, 1)
  const result = await appendLoad(leader, body, inFlight, Number(values.seconds))
  const { appendedPerSecond, latency, processorPerAppendUs } = result
  console.log(
    `${values.members} members, ${inFlight} in flight, ${body.length} bytes, ` +
      `${durability}: ${Math.round(appendedPerSecond)} appends/s, ` +
      `p50 ${latency.p50Ms.toFixed(2)} ms, p99 ${latency.p99Ms.toFixed(2)} ms, ` +
      `${processorPerAppendUs.toFixed(1)} µs CPU an append`,
  )
  const { entries, seconds } = await readAll(leader)
  console.log(`read back: ${entries} entries, ${Math.round(entries / seconds)} a second`)
  await close()
}
