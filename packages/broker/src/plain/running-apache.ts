/**
 * Refuses a store that a broker of Apache's has open. It holds a POSIX lock on its file `lock`,
 * which Node cannot ask for, but Linux lists the locks that are held; elsewhere nobody is found.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'

const LOCKS_PATH = '/proc/locks'

/** @throws LedgerError BAD_REQUEST naming the process */
export function refuseRunningApache(root: string): void {
  const path = join(root, 'lock')
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  const holder = holderOf(readLocks(), found.ino)
  if (holder === undefined) return
  throw new LedgerError(
    'BAD_REQUEST',
    `the store is in use: process ${holder} holds ${path}, as a broker of RocketMQ does while it ` +
      'runs. Two processes must never open one store; stop the other one first.',
  )
}

/** Process id of who holds a lock on the inode; `locks` is the text of /proc/locks. */
export function holderOf(locks: string, inode: number): string | undefined {
  for (const line of locks.split('\n')) {
    const [, kind, , , processId, place] = line.trim().split(/\s+/)
    if (kind === 'POSIX' && place?.split(':')[2] === String(inode)) return processId
  }
  return undefined
}

function readLocks(): string {
  try {
    return readFileSync(LOCKS_PATH, 'utf8')
  } catch {
    return ''
  }
}
