/**
 * Java's `.properties` format, as Apache RocketMQ's configuration files use it: `key=value`, `key:
 * value` or `key value`, comments after `#` or `!`, `\` at the end of a line goes on with the next,
 * escapes `\t \n \r \f \uXXXX`, any other `\x` is `x`. Text is UTF-8 (Java reads Latin-1, and
 * writes the rest as `\uXXXX`, which works here too). Every entry knows the line that it starts on.
 */
import type { ConfigEntry, ConfigRemark } from '@ringledger/base'

export interface PropertiesFile {
  readonly entries: ConfigEntry[]
  /** Places that Java would refuse or silently read as something else than written. */
  readonly problems: ConfigRemark[]
}

interface LogicalLine {
  readonly text: string
  readonly line: number
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }
const BLANKS = ' \t\f'

/** Parses a whole file. */
export function parseProperties(bytes: Uint8Array): PropertiesFile {
  const problems: ConfigRemark[] = []
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    text = new TextDecoder('latin1').decode(bytes)
    const message = 'the file is not UTF-8; save it as UTF-8, or write such letters as \\uXXXX'
    problems.push({ line: firstLineAboveAscii(text), message })
  }
  const entries = logicalLines(text).map((line) => parseLine(line, problems))
  return { entries, problems }
}

function firstLineAboveAscii(text: string): number {
  const lines = text.split(/\r\n|\n|\r/)
  return lines.findIndex((line) => /[\u0080-\uffff]/.test(line)) + 1
}

/** Joins continued lines and drops blank and comment lines. */
function logicalLines(text: string): LogicalLine[] {
  const result: LogicalLine[] = []
  let open: { text: string; line: number } | undefined
  for (const [index, natural] of text.split(/\r\n|\n|\r/).entries()) {
    const stripped = natural.replace(/^[ \t\f]+/, '')
    if (open === undefined) {
      if (stripped === '' || stripped[0] === '#' || stripped[0] === '!') continue
      open = { text: '', line: index + 1 }
    }
    const backslashes = /\\*$/.exec(stripped)![0].length
    const continues = backslashes % 2 === 1
    open.text += continues ? stripped.slice(0, -1) : stripped
    if (continues) continue
    result.push(open)
    open = undefined
  }
  if (open !== undefined) result.push(open)
  return result
}

function parseLine({ text, line }: LogicalLine, problems: ConfigRemark[]): ConfigEntry {
  let end = 0
  while (end < text.length && !'=:'.includes(text[end]!) && !BLANKS.includes(text[end]!)) {
    end += text[end] === '\\' ? 2 : 1
  }
  let start = skipBlanks(text, end)
  if (start < text.length && '=:'.includes(text[start]!)) start = skipBlanks(text, start + 1)
  const plain = (part: string): string => unescapeText(part, line, problems)
  return { key: plain(text.slice(0, end)), value: plain(text.slice(start)).trim(), line }
}

function skipBlanks(text: string, from: number): number {
  let at = from
  while (at < text.length && BLANKS.includes(text[at]!)) at++
  return at
}

function unescapeText(text: string, line: number, problems: ConfigRemark[]): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\(u[0-9a-fA-F]{4}|[\s\S]|$)/g, (whole, escaped: string) => {
    if (escaped.length === 5) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
    if (escaped === 'u') {
      problems.push({ line, message: '\\u must be followed by four hexadecimal digits' })
      return whole
    }
    const control = SIMPLE_ESCAPES[escaped]
    if (control === undefined) return escaped
    // A Windows path (D:\rocketmq) is the one way this happens; Java makes a directory with a CR in
    // its name.
    const message = `"\\${escaped}" is a control character here; write "\\\\" or "/" in a path`
    problems.push({ line, message })
    return control
  })
}

/** Text of a file that reads back as these entries. */
export function formatProperties(entries: Iterable<readonly [string, string]>): string {
  let text = ''
  for (const [key, value] of entries) {
    text += `${escapeText(key, /[\\=:#! ]/g)}=${escapeText(value, /\\/g)}\n`
  }
  return text
}

function escapeText(text: string, special: RegExp): string {
  return text.replace(special, (char) => `\\${char}`)
}
