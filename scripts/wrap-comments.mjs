/**
 * Breaks comment lines that are longer than the tidy test allows; the formatter leaves comments
 * alone. Rewrites the named files, or every TypeScript and script file of the repository.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const MAX_COLUMNS = 100
const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** A line that starts something of its own: a list item, a tag, a drawing, a table row. */
const OWN_LINE = /^(\s{2,}|[-*@|+>│┌└├─]|\d+\.|$)/

function wrapLine(line, next) {
  const oneLine = /^(\s*)\/\*\*? (.*) \*\/$/.exec(line)
  if (oneLine) return [`${oneLine[1]}/**`, `${oneLine[1]} * ${oneLine[2]}`, `${oneLine[1]} */`]
  const trailing = /^(\s*)(\S.*?)\s+(\/\/ .*)$/.exec(line)
  if (trailing && !/^(\/\/|\*|\/\*)/.test(trailing[2]) && !/['"`]/.test(trailing[3])) {
    return [`${trailing[1]}${trailing[3]}`, `${trailing[1]}${trailing[2]}`]
  }
  const prefix = /^\s*(\*|\/\/) (- |\d+\. )?/.exec(line)
  if (!prefix) return undefined
  const space = line.lastIndexOf(' ', MAX_COLUMNS)
  if (space <= prefix[0].length) return undefined
  const base = /^\s*(\*|\/\/) /.exec(line)[0]
  const hang = prefix[0].length > base.length ? '  ' : ''
  const start = base + hang
  const rest = line.slice(space + 1)
  const joins = next?.startsWith(start) && !OWN_LINE.test(next.slice(start.length))
  const head = line.slice(0, space)
  if (joins) return { head, next: `${start}${rest} ${next.slice(start.length)}` }
  return [head, `${start}${rest}`]
}

export function wrapComments(text) {
  const lines = text.split('\n')
  for (let at = 0; at < lines.length; at++) {
    if (lines[at].length <= MAX_COLUMNS) continue
    const wrapped = wrapLine(lines[at], lines[at + 1])
    if (wrapped === undefined) continue
    if (Array.isArray(wrapped)) {
      lines.splice(at, 1, ...wrapped)
      if (wrapped[0].length > MAX_COLUMNS) at--
    } else {
      lines.splice(at, 2, wrapped.head, wrapped.next)
    }
  }
  return lines.join('\n')
}

function allFiles() {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts', '*.mjs']
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim().split('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const named = process.argv.slice(2)
  for (const path of named.length > 0 ? named : allFiles().map((name) => ROOT + name)) {
    const before = readFileSync(path, 'utf8')
    const after = wrapComments(before)
    if (after !== before) writeFileSync(path, after)
  }
}
