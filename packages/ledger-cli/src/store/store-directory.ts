/** Finds the parts of a stopped node's store. Owns the words for a directory that is none. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { NodeDisk } from '@ringledger/io'

export interface StoreDirectory {
  /** `…/dledger-n0`. */
  readonly directory: string
  readonly dataDirectory: string
  readonly indexDirectory: string
  readonly hardStatePath: string
  readonly markPath: string
  readonly lostPath: string
}

/**
 * `path` is a node's directory (`dledger-n0`) or the one above it.
 * @throws LedgerError BAD_REQUEST
 */
export function findStore(path: string, dataDirectory?: string): StoreDirectory {
  if (!existsSync(path) || !statSync(path).isDirectory()) {
    throw new LedgerError('BAD_REQUEST', `${path} is no directory`)
  }
  const directory = nodeDirectory(path, dataDirectory)
  return {
    directory,
    dataDirectory: dataDirectory ?? join(directory, 'data'),
    indexDirectory: join(directory, 'index'),
    hardStatePath: join(directory, 'ringledger-hardstate'),
    markPath: join(directory, 'ringledger-durable'),
    lostPath: join(directory, 'ringledger-lost'),
  }
}

function nodeDirectory(path: string, dataDirectory: string | undefined): string {
  if (existsSync(join(path, 'data')) || dataDirectory !== undefined) return path
  const nodes = readdirSync(path).filter((name) => name.startsWith('dledger-'))
  if (nodes.length === 1) return join(path, nodes[0]!)
  if (nodes.length > 1) {
    const names = nodes.map((name) => join(path, name)).join(', ')
    throw new LedgerError('BAD_REQUEST', `${path} holds several stores, name one: ${names}`)
  }
  const what = 'neither data/ nor dledger-<id>/ is in it'
  throw new LedgerError('BAD_REQUEST', `${path} is no store: ${what}`)
}

/**
 * Keeps other processes from the store while `work` reads it. A store on a read-only file system is
 * read without a lock.
 * @throws LedgerError BAD_REQUEST when a process has it open
 */
export function withStoreLock<Result>(store: StoreDirectory, work: () => Result): Result {
  const release = lock(join(store.directory, 'ringledger-lock'))
  try {
    return work()
  } finally {
    release()
  }
}

function lock(path: string): () => void {
  try {
    const held = new NodeDisk().lock(path)
    return () => held.release()
  } catch (error) {
    const { code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException
    if (code === 'EROFS' || code === 'EACCES') return () => {}
    throw error
  }
}
