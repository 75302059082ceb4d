/**
 * Looks at a member's stopped store before it is rolled back. Owns the refusals that need no look
 * into the log: a broker that runs or was killed, files that do not fit together, no Raft log.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { refuseRunning } from '../preconditions.ts'
import { RollbackRefused } from '../refused.ts'
import { findStore, type LogFile, listLogFiles } from '../store-files.ts'
import type { RollbackOptions } from './rollback-types.ts'

export interface RollbackSource {
  readonly root: string
  /** Files of the plain log before DLedger mode; none in a store that was born in it. */
  readonly plain: readonly LogFile[]
  readonly raft: readonly LogFile[]
  readonly segmentBytes: number
  readonly firstOffset: number
  /** First byte of the Raft log. */
  readonly divided: number
  /** From DLedger's checkpoint, -1 when it does not say: up to here the member knew, and had. */
  readonly committedIndex: number
  readonly endIndex: number
  readonly totalBytes: number
}

/** @throws RollbackRefused, LedgerError BAD_REQUEST when there is no such directory */
export function findSource(options: RollbackOptions): RollbackSource {
  const { root, commitLog, raftLog } = options
  const found = findStore({ root, ...(commitLog === undefined ? {} : { commitLog }) })
  const directory = raftDirectory(root, found.raftDirectories, raftLog)
  refuseRunning(found, RollbackRefused)
  const raft = listLogFiles(raftLog ?? join(directory, 'data')).log
  const first = raft[0]
  if (first === undefined) throw new RollbackRefused(`${directory} holds no log`, NOT_A_MEMBER)
  const plain = found.log
  const segmentBytes = first.sizeBytes
  checkFiles([...plain, ...raft], segmentBytes)
  const files = [...plain, ...raft]
  return {
    root,
    plain,
    raft,
    segmentBytes,
    firstOffset: files[0]?.offset ?? 0,
    divided: first.offset,
    committedIndex: checkpointValue(join(directory, 'checkpoint'), 'committedIndex'),
    endIndex: checkpointValue(join(directory, 'checkpoint'), 'endIndex'),
    totalBytes: files.length * segmentBytes,
  }
}

const NOT_A_MEMBER =
  'give the storePathRootDir of a member of a DLedger group; a store without one is plain already'

function raftDirectory(
  root: string,
  names: readonly string[],
  raftLog: string | undefined,
): string {
  const [name, ...more] = names
  if (more.length > 0) {
    throw new RollbackRefused(
      `${root} holds ${names.join(' and ')}`,
      'move away what is not the log of this member',
    )
  }
  if (name === undefined && raftLog === undefined) {
    throw new RollbackRefused(`there is no dledger-<id>/data below ${root}`, NOT_A_MEMBER)
  }
  return join(root, name ?? '')
}

/** Every file as long as the others, none missing between the first and the last. */
function checkFiles(files: readonly LogFile[], segmentBytes: number): void {
  let expected = files[0]?.offset ?? 0
  for (const { path, offset, sizeBytes } of files) {
    if (sizeBytes !== segmentBytes) {
      throw new RollbackRefused(
        `${path} has ${sizeBytes} bytes, the first file of the Raft log ${segmentBytes}`,
        'copy it whole from another member, or give this member an empty store and let it catch up',
      )
    }
    if (offset !== expected) {
      throw new RollbackRefused(
        `between offset ${expected} and ${offset} no file is there`,
        'roll back the store of another member, or copy the missing file from it',
      )
    }
    expected = offset + segmentBytes
  }
}

/** Apache's text file, `key=value` lines; ours writes it too. */
function checkpointValue(path: string, key: string): number {
  if (!existsSync(path)) return -1
  const found = new RegExp(`^${key}=(\\d{1,15})\\s*$`, 'm').exec(readFileSync(path, 'utf8'))
  return found === null ? -1 : Number(found[1])
}
