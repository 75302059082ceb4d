/** Owns the rule that no broker starts on a store whose old part is just being replaced. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'

/** `mqadmin upgrade adopt` writes it before it begins, and removes it when all is in place. */
const MARKER = 'upgrade-adopt.json'

/** @throws LedgerError BAD_CONFIG */
export function refuseHalfAdopted(rootDirectory: string): void {
  const path = join(rootDirectory, MARKER)
  if (!existsSync(path)) return
  throw new LedgerError(
    'BAD_CONFIG',
    `${path} is there: "mqadmin upgrade adopt" did not come to its end. Run it again to finish it, ` +
      'or with --cancel to leave the store as it was; then start the broker',
  )
}
