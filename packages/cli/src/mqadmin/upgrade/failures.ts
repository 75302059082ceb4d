/**
 * How an upgrade command says that nothing came of it: what failed without a stack, and what was
 * refused as text or as the JSON document that was asked for.
 */
import { LedgerError } from '@ringledger/base'
import type { UpgradeRefused } from '@ringledger/upgrade'
import { AdminError } from '../errors.ts'
import { type AdminIo, show } from '../view.ts'

/** What the file system or a reader said; other errors stay what they are. */
export function asAdminError(error: unknown): unknown {
  if (error instanceof LedgerError) return new AdminError(error.message)
  const code = (error as NodeJS.ErrnoException).code
  return code === undefined ? error : new AdminError((error as Error).message)
}

/** A store that is left as it is. */
export function sayRefused(
  { message, advice }: UpgradeRefused,
  asJson: boolean,
  io: AdminIo,
): void {
  if (asJson) sayJson({ refused: message, advice }, io)
  else io.stderr.write(`STOP  ${message}\n      ${advice}\n`)
}

/** A file that is left as it is, for several reasons. */
export function sayReasons(reasons: readonly string[], asJson: boolean, io: AdminIo): void {
  if (asJson) sayJson({ refused: reasons }, io)
  else io.stderr.write(`STOP  ${reasons.join('\nSTOP  ')}\nNothing was written.\n`)
}

function sayJson(json: object, io: AdminIo): void {
  show({ json, sections: [] }, io.stdout, true)
}
