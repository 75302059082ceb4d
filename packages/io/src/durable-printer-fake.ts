/**
 * A process for `kill.test.ts` to kill: writes groups of entries to the store named by its
 * arguments, prints a line for each durable position (a line that arrived was true), and goes on
 * until it is killed.
 */
import { writeSync } from 'node:fs'
import { NodeDisk } from './disk-node.ts'
import { StoreFake } from './store-fake.ts'

const [rootDirectory, selfId] = process.argv.slice(2) as [string, string]
const config = {
  rootDirectory,
  selfId,
  segmentBytes: 256 * 1024,
  minimumFreeBytes: 1,
  zeroAheadBytes: 64 * 1024,
  markEveryBytes: 100_000,
}
const seam = new StoreFake(config, new NodeDisk())
const term = seam.recovered.tail.lastTerm + 1
for (let group = 0; ; group++) {
  seam.append(1 + (group % 20), term + Math.floor(group / 30), 300 + (group % 7) * 400)
  for (const event of seam.settle()) {
    if (event.kind === 'durable') writeSync(1, `${event.position} ${seam.core.end.chainCrc}\n`)
  }
}
