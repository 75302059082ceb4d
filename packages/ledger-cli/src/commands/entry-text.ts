/** How entries are shown: text that cannot move the cursor, hexadecimal, or the very bytes. */
import { visible } from '@ringledger/base'
import { Option } from 'commander'

export type BodyForm = 'text' | 'hex' | 'base64' | 'none'

/** `--body <form>`. */
export function bodyOption(): Option {
  return new Option('--body <form>', 'how to show bodies')
    .choices(['text', 'hex', 'base64', 'none'])
    .default('text')
}

/** On one line; control characters of a text as escapes. */
export function bodyText(body: Uint8Array, form: BodyForm): string {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
  if (form === 'none') return ''
  return form === 'text' ? visible(bytes.toString('utf8')) : bytes.toString(form)
}

/** The members of an entry for `--json`; the body as Base64, and as text where it is one. */
export function entryJson(entry: {
  readonly index: number
  readonly term: number
  readonly position: number
  readonly body: Uint8Array
}): Record<string, unknown> {
  const { index, term, position } = entry
  const body = Buffer.from(entry.body.buffer, entry.body.byteOffset, entry.body.length)
  const text = body.toString('utf8')
  const isText = Buffer.from(text).equals(body)
  const sizes = { index, term, position, bodyBytes: body.length }
  return { ...sizes, body: body.toString('base64'), ...(isText ? { text } : {}) }
}
