/**
 * Reads one stored message by the offset that a client names; such an offset is trusted in nothing.
 */
import type { BrokerContext } from '../context.ts'

/** A copy of the message that starts exactly there; undefined when none does. */
export function readStoredMessage(
  context: Pick<BrokerContext, 'store'>,
  physicalOffset: number,
): Buffer | undefined {
  if (!Number.isSafeInteger(physicalOffset) || physicalOffset < 0) return undefined
  const { reader } = context.store
  const sizeBytes = reader.sizeAt(physicalOffset)
  if (sizeBytes <= 0) return undefined
  const bytes = Buffer.allocUnsafe(sizeBytes)
  return reader.read(physicalOffset, sizeBytes, bytes, 0) ? bytes : undefined
}
