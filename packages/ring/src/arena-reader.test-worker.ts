/**
 * The other thread of the arena test: copies ranges while they are overwritten, and checks those
 * that it may trust.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { LogArena, type LogArenaShared } from './log-arena.ts'

const arena = new LogArena(workerData as LogArenaShared)
const copy = Buffer.alloc(arena.sizeBytes + arena.maxEntryBytes)
let trusted = 0
let torn = 0
let wrong = 0

while (trusted < 20_000 || torn < 20) {
  const from = arena.oldest
  const to = arena.appended
  // The two words were read one after the other: with a pause in between they may lie more than a
  // lap apart.
  if (to - from > arena.sizeBytes) continue
  let length = 0
  arena.forEachPiece(from, to, (_position, offset, sizeBytes) => {
    arena.bytes.copy(copy, length, offset, offset + sizeBytes)
    length += sizeBytes
  })
  // Entries are 8-byte words that hold their own position; reading the middle also meets ranges
  // that stay whole.
  const middle = from + Math.floor((to - from) / 16) * 8
  for (const position of [from, middle]) {
    if (position >= to) continue
    if (!arena.holds(position)) {
      torn++
      continue
    }
    trusted++
    if (copy.readDoubleLE(position - from) !== position) wrong++
  }
}
parentPort!.postMessage({ trusted, wrong })
