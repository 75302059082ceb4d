/**
 * Whether another broker, Apache's, has run on a plain store since ours did. It changes queues, key
 * index and tables, and may cut the log: what we noted about them counts no longer then. Apache
 * writes its file `lock` at every start (DefaultMessageStore.start), and we never do, so the file's
 * time tells.
 */
import { existsSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { onDisk } from '@ringledger/base/internal'
import { readText, replaceText } from '../state/config-file.ts'

/** When Apache started last, as our own last start saw it. */
const SEEN = 'ringledger-seen'
/** How far queues and index are, and of which position the tables. */
const NOTES: readonly string[] = [
  'ringledger-dispatch',
  join('config', 'ringledger-state.json'),
  join('config', 'ringledger-state.json.bak'),
]

/** Ours ran here in plain mode. */
export function hasRunPlain(root: string): boolean {
  return existsSync(join(root, SEEN))
}

/** Drops our notes if another broker ran since they were made; says so in `log`. */
export function forgetForeignRun(root: string, log: (line: string) => void): void {
  const lockTime = lockTimeOf(root)
  if (seenTime(root) === lockTime) return
  const noted = NOTES.filter((name) => existsSync(join(root, name)))
  onDisk(`notes in ${root}`, () => {
    for (const name of noted) rmSync(join(root, name), { force: true })
  })
  if (noted.length > 0) {
    log(
      'another broker has run on this store since: its tables are taken as they are, queues and ' +
        'key index are built anew',
    )
  }
  replaceText(join(root, SEEN), `${lockTime}\n`)
}

function seenTime(root: string): string | undefined {
  try {
    return readText(
      join(root, SEEN),
      () => {},
      (text) => text.trim(),
    )
  } catch (error) {
    if (error instanceof LedgerError && error.code === 'CORRUPT') return undefined
    throw error
  }
}

function lockTimeOf(root: string): string {
  const found = statSync(join(root, 'lock'), { bigint: true, throwIfNoEntry: false })
  return found === undefined ? 'never' : String(found.mtimeNs)
}
