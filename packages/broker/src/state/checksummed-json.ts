/**
 * JSON objects that carry a checksum of themselves, in a field that Apache's readers skip and its
 * writers drop. Owns the rule: what this node wrote is read back unchanged or not at all; what
 * others wrote has no checksum and is taken as it is.
 */
import { LedgerError } from '@ringledger/base'
import { crc32 } from '@ringledger/protocol'

const FIELD = 'ringledgerChecksum'
const TAIL = new RegExp(`,?"${FIELD}":"([0-9a-f]{8})"\\}\\s*$`)

/** The object's text with its checksum as the last field. */
export function formatChecksummed(value: object): string {
  const text = JSON.stringify(value)
  const open = text.slice(0, -1)
  const comma = open === '{' ? '' : ','
  return `${open}${comma}"${FIELD}":"${checksumOf(open)}"}`
}

/** @throws LedgerError CORRUPT when the text has a checksum that is not its own. */
export function verifyChecksummed(text: string): void {
  const found = TAIL.exec(text)
  if (found === null || found[1] === checksumOf(text.slice(0, found.index))) return
  throw new LedgerError(
    'CORRUPT',
    'it was changed since this node wrote it. Topics and groups are changed with mqadmin; to have ' +
      `a text of your own taken all the same, remove its field ${FIELD}`,
  )
}

function checksumOf(text: string): string {
  const bytes = Buffer.from(text)
  return crc32(bytes, 0, bytes.length).toString(16).padStart(8, '0')
}
