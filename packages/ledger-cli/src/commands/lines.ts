/** Lines of a byte stream. Owns a bound on the memory for one: what is longer is refused. */
import { LedgerError } from '@ringledger/base'

const NEW_LINE = 0x0a
const RETURN = 0x0d
/** More than a frame can carry. */
const MAX_LINE_BYTES: number = 16 * 1024 * 1024

/**
 * Each line without its end (`\n` or `\r\n`); empty ones too, but none behind the last line end.
 * @throws LedgerError TOO_LARGE
 */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncIterable<Buffer> {
  let held: Buffer[] = []
  let heldBytes = 0
  let line = 1
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    let from = 0
    for (let end = bytes.indexOf(NEW_LINE); end >= 0; end = bytes.indexOf(NEW_LINE, from)) {
      yield trimmed(Buffer.concat([...held, bytes.subarray(from, end)]))
      held = []
      heldBytes = 0
      line++
      from = end + 1
    }
    heldBytes += bytes.length - from
    if (heldBytes > MAX_LINE_BYTES) {
      throw new LedgerError('TOO_LARGE', `line ${line} is longer than ${MAX_LINE_BYTES} bytes`)
    }
    if (from < bytes.length) held.push(Buffer.from(bytes.subarray(from)))
  }
  if (heldBytes > 0) yield trimmed(Buffer.concat(held))
}

function trimmed(line: Buffer): Buffer {
  return line.at(-1) === RETURN ? line.subarray(0, -1) : line
}
