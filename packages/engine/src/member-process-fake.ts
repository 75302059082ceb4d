/**
 * A member in a process of its own, for tests that kill it: opens a ledger and does as it is told.
 */
import { assert } from '@ringledger/base'
import type { LedgerOptions, LogPoint } from './ledger.ts'
import type { AppendError } from './ledger-errors.ts'
import { openLedger } from './open-ledger.ts'

export type MemberOrder =
  | { readonly kind: 'append'; readonly text: string }
  | { readonly kind: 'texts' }
  | { readonly kind: 'close' }

export type MemberNote =
  | { readonly kind: 'role'; readonly role: string; readonly leaderId: string | undefined }
  | { readonly kind: 'appended'; readonly index: number }
  | { readonly kind: 'refused'; readonly code: string; readonly mayCommit: boolean }
  | { readonly kind: 'texts'; readonly texts: readonly string[]; readonly end: LogPoint }

const [text] = process.argv.slice(2)
assert(text !== undefined, 'a member gets its options as JSON')
const ledger = await openLedger(JSON.parse(text) as LedgerOptions)
const tell = (note: MemberNote): void => {
  process.send?.(note)
}
ledger.subscribe({ onRole: ({ role, leaderId }) => tell({ kind: 'role', role, leaderId }) })
process.on('message', (order: MemberOrder) => void obey(order))

async function obey(order: MemberOrder): Promise<void> {
  if (order.kind === 'close') {
    await ledger.close()
    process.disconnect?.()
    return
  }
  try {
    if (order.kind === 'append') {
      const { index } = await ledger.append(Buffer.from(order.text))
      tell({ kind: 'appended', index })
      return
    }
    const end = await ledger.readIndex()
    const texts: string[] = []
    for await (const { body } of ledger.read({ index: 0 }, { untilIndex: end.index })) {
      texts.push(Buffer.from(body).toString('utf8'))
    }
    tell({ kind: 'texts', texts, end })
  } catch (error) {
    const { code, mayCommit } = error as AppendError
    tell({ kind: 'refused', code, mayCommit })
  }
}
