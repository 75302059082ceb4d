/**
 * Loaded before a program under test (`--import`): ends it as kill -9 would, at its n-th call that
 * may change a file; KILL_AT names thread and call as `thread:n`. A write may be cut in the middle
 * before. Without KILL_AT it counts: a program that ends, or says that it serves, leaves its number
 * of calls by thread in the file COUNT_TO.
 */
import fs from 'node:fs'
import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { threadId } from 'node:worker_threads'

type Call = (...values: unknown[]) => unknown

const CALLS = [
  'appendFileSync',
  'copyFileSync',
  'cpSync',
  'fdatasyncSync',
  'fsyncSync',
  'ftruncateSync',
  'futimesSync',
  'linkSync',
  'mkdirSync',
  'openSync',
  'renameSync',
  'rmSync',
  'truncateSync',
  'unlinkSync',
  'utimesSync',
  'writeFileSync',
  'writeSync',
] as const
/** A member serves its old log to others through these. */
const PROMISED_CALLS = ['open', 'rename', 'rm', 'writeFile'] as const
const READY_DESCRIPTOR = Number(process.env.RINGLEDGER_READY_FD ?? -1)
const [thread = -1, killAt = -1] = (process.env.KILL_AT ?? '').split(':').map(Number)
const append = fs.appendFileSync
const write = fs.writeSync
let steps = 0
let isOver = false

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // Of a thread other than the first, the process ends a little later.
  for (;;);
}

function isLast(): boolean {
  return !isOver && ++steps === killAt && thread === threadId
}

function counted(call: Call): Call {
  return (...values) => {
    if (isLast()) die()
    return call(...values)
  }
}

/**
 * `writeSync(descriptor, bytes, offset, length, position)`, cut where the number of the step says.
 */
function torn([descriptor, bytes, offset, length, position]: unknown[]): void {
  if (!ArrayBuffer.isView(bytes) || typeof length !== 'number' || length < 2) return
  const part = (killAt * 7919) % length
  if (part === 0) return
  write(descriptor as number, bytes as Uint8Array, offset as number, part, position as number)
}

/** Behind it nothing is counted, and nobody dies. */
function finish(): void {
  if (isOver) return
  isOver = true
  const path = process.env.COUNT_TO
  if (path !== undefined) append(path, `${threadId} ${steps}\n`)
}

for (const name of CALLS) {
  const call = fs[name] as unknown as Call
  ;(fs as unknown as Record<string, Call>)[name] = counted(call)
}
for (const name of PROMISED_CALLS) {
  const call = promises[name] as unknown as Call
  ;(promises as unknown as Record<string, Call>)[name] = counted(call)
}
;(fs as unknown as Record<string, Call>).writeSync = (...values) => {
  if (values[0] === READY_DESCRIPTOR) {
    if (String(values[1]).startsWith('serving')) finish()
  } else if (isLast()) {
    torn(values)
    die()
  }
  return (write as Call)(...values)
}
syncBuiltinESMExports()
process.on('exit', finish)
