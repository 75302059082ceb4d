/**
 * Owns the rule that a broker never starts in silence beside messages that it would not serve:
 * those of a commit log from before DLedger mode.
 */
import { closeSync, existsSync, openSync, readdirSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { offsetOfFileName } from '@ringledger/protocol'

/** `directories`: storePathCommitLog, several joined by commas as Apache has it. */
export function refusePlainLog(directories: string): void {
  for (const directory of directories.split(',')) {
    const name = logFiles(directory).find((file) => beginsWithData(join(directory, file)))
    if (name === undefined) continue
    throw new LedgerError(
      'BAD_CONFIG',
      `${join(directory, name)} holds messages from before DLedger mode, which this version cannot ` +
        'serve: clients would not see them. Compare the copies with "mqadmin upgrade compare", keep ' +
        'them, and give this broker an empty storePathRootDir',
    )
  }
}

function logFiles(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory).filter((name) => offsetOfFileName(name) !== undefined)
}

/** A file that was made ahead has only zeros. */
function beginsWithData(path: string): boolean {
  const head = Buffer.alloc(8)
  const descriptor = openSync(path, 'r')
  try {
    readSync(descriptor, head, 0, head.length, 0)
  } finally {
    closeSync(descriptor)
  }
  return head.some((byte) => byte !== 0)
}
