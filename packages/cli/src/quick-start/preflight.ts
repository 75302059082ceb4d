/**
 * What can stand in the way of a start, found before anything is started and said with the way out.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import {
  type Choices,
  type ClusterLayout,
  HOST,
  layoutOf,
  MAX_BASE_PORT,
  type Member,
  members,
  readChoices,
} from './layout.ts'
import { isPortFree, portHolder } from './ports.ts'

const BASE_PORT_STEP = 100

/** @throws LedgerError BAD_CONFIG when the cluster of `--dir` was made with other options. */
export function checkChoices(layout: ClusterLayout, there: Choices | undefined): void {
  if (there === undefined) return
  if (there.nodes === layout.nodes && there.basePort === layout.basePort) return
  const what = `${layout.directory} holds a cluster of ${there.nodes} on base port ${there.basePort}`
  const way =
    'start it without --nodes and --base-port, remove it with clean, or name another --dir'
  throw new LedgerError('BAD_CONFIG', `${what}: ${way}`)
}

/**
 * Makes the directory and tries it: rights alone do not tell (a full disk, a read-only mount,
 * root).
 * @throws LedgerError BAD_CONFIG when it cannot be made or written.
 */
export function checkWritable(directory: string): void {
  const probe = join(directory, '.write-probe')
  try {
    makeDirectories(directory)
    writeFileSync(probe, 'x')
    rmSync(probe)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    const reason = REASONS[code] ?? (error as Error).message
    const text = `cannot write to ${directory}: ${reason}; choose another directory with --dir`
    throw new LedgerError('BAD_CONFIG', text, { cause: error })
  }
}

/**
 * Node's recursive form never returns where the kernel answers ENOENT for good (/proc, Node 26.10).
 */
function makeDirectories(directory: string): void {
  if (existsSync(directory)) return
  if (dirname(directory) !== directory) makeDirectories(dirname(directory))
  mkdirSync(directory)
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'no right to',
  EPERM: 'no right to',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a file is in the way',
  EEXIST: 'a file is in the way',
}

/** @throws LedgerError PORT_BUSY naming each busy port, its holder and a free base port. */
export async function checkPorts(layout: ClusterLayout): Promise<void> {
  const busy = await busyPorts(members(layout))
  if (busy.length === 0) return
  const lines = busy.map(({ port, use }) => {
    const holder = portHolder(port)
    return `port ${port} (${use}) is taken${holder === undefined ? '' : ` by ${holder}`}`
  })
  const free = await freeBasePort(layout)
  if (free !== undefined) {
    const other = readChoices(layout.directory) === undefined ? '' : ' --dir <another directory>'
    lines.push(`stop what holds them, or use other ports: --base-port ${free}${other}`)
  }
  throw new LedgerError('PORT_BUSY', lines.join('\n'))
}

interface BusyPort {
  readonly port: number
  readonly use: string
}

async function busyPorts(wanted: readonly Member[]): Promise<BusyPort[]> {
  const uses = wanted.flatMap(({ id, port, peerPort }) => {
    if (peerPort === undefined) return [{ port, use: 'name server' }]
    return [
      { port, use: `broker ${id}` },
      { port: peerPort, use: `DLedger ${id}` },
    ]
  })
  const free = await Promise.all(uses.map(({ port }) => isPortFree(HOST, port)))
  return uses.filter((_, index) => !free[index])
}

async function freeBasePort(layout: ClusterLayout): Promise<number | undefined> {
  for (let step = 1; step <= 20; step++) {
    const basePort = layout.basePort + step * BASE_PORT_STEP
    if (basePort > MAX_BASE_PORT) return undefined
    const other = layoutOf(layout.directory, { basePort, nodes: layout.nodes })
    if ((await busyPorts(members(other))).length === 0) return basePort
  }
  return undefined
}
