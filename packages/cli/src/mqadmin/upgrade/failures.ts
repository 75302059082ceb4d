/** What the file system or a reader said, without a stack. */
import { LedgerError } from '@ringledger/base'
import { AdminError } from '../errors.ts'

export function asAdminError(error: unknown): unknown {
  if (error instanceof LedgerError) return new AdminError(error.message)
  const code = (error as NodeJS.ErrnoException).code
  return code === undefined ? error : new AdminError((error as Error).message)
}
