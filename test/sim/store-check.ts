/**
 * The last look at the end of a run: what the files of every node say, read as any reader would.
 * Owns the promise that every committed entry is there, whole, at its index and position.
 */

import { LogFileReader } from '@ringledger/io'
import { checkEntry, entryChainCrc, entryMagic, entrySize, MAGIC_BLANK } from '@ringledger/protocol'
import { ensure } from './failure.ts'
import type { Machine } from './machine.ts'
import type { World } from './world.ts'

let buffer = Buffer.alloc(64 * 1024)

export function checkStores(world: World): void {
  for (const machine of world.machines) {
    if (machine.refused) continue
    checkStore(machine)
  }
}

function checkStore(machine: Machine): void {
  // The entries make good for a damaged index unit, so it is told apart here.
  const reader = new LogFileReader(machine.storeConfig, machine.disk, (position) =>
    ensure(false, `${machine.name}: the index unit of the entry at ${position} is damaged`),
  )
  const { log } = machine
  const start = firstPosition(machine)
  const first = Math.max(0, reader.indexOfPosition(start))
  const from = Math.max(start, log.endOf(first - 1))
  const size = log.endPosition - from
  if (buffer.length < size) buffer = Buffer.alloc(size)
  const read = reader.read(from, buffer, 0, size)
  ensure(read === size, `${machine.name}: the files end before the log does`)
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
  let index = first
  for (let at = 0; at < size; ) {
    const position = from + at
    if (entryMagic(view, at) !== MAGIC_BLANK) {
      const previous = index === first ? undefined : log.chainOf(index - 1)
      const expected = { position, index, previousChainCrc: previous }
      const verdict = checkEntry(buffer, view, at, size - at, expected)
      ensure(
        verdict === 'ok',
        `${machine.name}: entry ${index} in the files is ${verdict} at ${position} of ${from}..${log.endPosition} ${start}`,
      )
      const same = entryChainCrc(view, at) === log.chainOf(index)
      ensure(same, `${machine.name}: entry ${index} in the files is another one`)
      const found = reader.entryPositionOfIndex(index)
      ensure(found === position, `${machine.name}: the index does not know entry ${index}`)
      index++
    }
    at += entrySize(view, at)
  }
  ensure(index === log.last + 1, `${machine.name}: the files hold another number of entries`)
  reader.close()
}

/** First byte of the first data segment: 0 unless the log was trimmed. */
function firstPosition(machine: Machine): number {
  const directory = `${machine.storeConfig.rootDirectory}/dledger-${machine.name}/data`
  return Number(machine.disk.list(directory)[0] ?? 0)
}
