/**
 * Aligned tables. Owns the rule that text from a server cannot move the cursor or change colours:
 * control characters are shown, not sent.
 */

export type Cell = string | number | bigint | boolean | undefined | null

export interface Column {
  readonly title: string
  /** Numbers read best from the right. Default: left. */
  readonly align?: 'left' | 'right'
}

/** `terminal` has a bold head and a line under it; `plain` has neither, one row a line. */
export type TableStyle = 'terminal' | 'plain'

const GAP = '  '
const EMPTY_CELL = '-'
const BOLD = '\u001b[1m'
const NORMAL = '\u001b[0m'

/** Column titles in short: a `>` in front aligns to the right. */
export function columns(...titles: string[]): Column[] {
  return titles.map((title) => {
    return title.startsWith('>') ? { title: title.slice(1), align: 'right' } : { title }
  })
}

/** The lines of a table, without line ends. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  style: TableStyle,
): string[] {
  const texts = rows.map((row) => columns.map((_, index) => formatCell(row[index])))
  const widths = columns.map((column, index) => {
    return Math.max(width(column.title), ...texts.map((row) => width(row[index] ?? '')))
  })
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, index) => pad(cell, widths[index] ?? 0, columns[index]?.align))
    return padded.join(GAP).trimEnd()
  }
  const head = line(columns.map((column) => column.title))
  const body = texts.map(line)
  if (style === 'plain') return [head, ...body]
  const rule = widths.map((size) => '─'.repeat(size)).join(GAP)
  return [`${BOLD}${head}${NORMAL}`, rule, ...body]
}

/** One value on one line, safe to print. */
export function formatCell(cell: Cell): string {
  if (cell === undefined || cell === null || cell === '') return EMPTY_CELL
  return visible(String(cell))
}

/** The text with control characters as escapes; line ends too. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/g, (character) => {
    const named = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character]
    return named ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/** At most `maxLength` characters; a cut is shown by `…`. */
export function shorten(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`
}

function width(text: string): number {
  let count = 0
  for (const character of text) count += isWide(character.codePointAt(0) ?? 0) ? 2 : 1
  return count
}

/** East Asian wide forms and emoji take two columns. */
function isWide(codePoint: number): boolean {
  return (
    (codePoint >= 0x1100 && codePoint <= 0x115f) ||
    (codePoint >= 0x2e80 && codePoint <= 0xa4cf) ||
    (codePoint >= 0xac00 && codePoint <= 0xd7a3) ||
    (codePoint >= 0xf900 && codePoint <= 0xfaff) ||
    (codePoint >= 0xfe30 && codePoint <= 0xfe6f) ||
    (codePoint >= 0xff00 && codePoint <= 0xff60) ||
    (codePoint >= 0xffe0 && codePoint <= 0xffe6) ||
    (codePoint >= 0x1f300 && codePoint <= 0x1faff) ||
    (codePoint >= 0x20000 && codePoint <= 0x3fffd)
  )
}

function pad(text: string, size: number, align: Column['align']): string {
  const blanks = ' '.repeat(Math.max(0, size - width(text)))
  return align === 'right' ? blanks + text : text + blanks
}
