/**
 * A log on one node: append, read back, follow the tail, restart. `node append-log.ts --help`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Ledger, openLedger } from '@ringledger/engine'

const { values } = parseArgs({
  options: { help: { type: 'boolean', short: 'h' }, directory: { type: 'string', short: 'd' } },
})
if (values.help) {
  console.log(`Usage: node append-log.ts [--directory <directory>]

Appends to a log of one node, reads it, follows its tail, and opens it again.
  -d, --directory  where the log lies; kept afterwards (default: a temporary one, removed)`)
} else {
  const directory = values.directory ?? mkdtempSync(join(tmpdir(), 'append-log-'))
  try {
    await run(directory)
  } finally {
    if (values.directory === undefined) rmSync(directory, { recursive: true, force: true })
  }
}

async function run(directory: string): Promise<void> {
  const ledger = await openLedger({ directory })
  const following = follow(ledger, 5)

  // Resolves when the entry is fdatasync'ed, on a majority where there are other members.
  const first = await ledger.append(Buffer.from('the first entry'))
  console.log(`appended at index ${first.index}, term ${first.term}, position ${first.position}`)

  const batch = ['two', 'three', 'four'].map((text) => Buffer.from(text))
  const places = await ledger.appendBatch(batch)
  console.log(`a batch has the indexes ${places.map(({ index }) => index).join(', ')}`)

  // Many at once share one write and one sync.
  const started = performance.now()
  const many = Array.from({ length: 10_000 }, (_, at) => Buffer.from(`entry ${at}`))
  for (let at = 0; at < many.length; at += 1_000) {
    await Promise.all(many.slice(at, at + 1_000).map((body) => ledger.append(body)))
  }
  console.log(`${many.length} appends took ${Math.round(performance.now() - started)} ms`)
  await following
  await ledger.close()

  const again = await openLedger({ directory })
  let count = 0
  for await (const entry of again.read({ index: first.index })) {
    count += 1
    if (entry.index === first.index) console.log(`after the restart: "${text(entry.body)}"`)
  }
  console.log(`read ${count} entries`)
  await again.close()
}

/** Prints the first `count` entries as they are committed. */
async function follow(ledger: Ledger, count: number): Promise<void> {
  let left = count
  for await (const entry of ledger.read({ index: 0 }, { follow: true })) {
    console.log(`  follower of the tail: ${entry.index} "${text(entry.body)}"`)
    left -= 1
    if (left === 0) return
  }
}

function text(body: Uint8Array): string {
  return Buffer.from(body).toString('utf8')
}
