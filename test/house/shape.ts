/** Size of lines, functions and files. */
import type { SourceFile } from './sources.ts'

export const MAX_COLUMNS = 100
export const MAX_FUNCTION_LINES = 70
export const MAX_FILE_LINES = 500

const CONTROL = /^(if|for|while|switch|catch|else|do|try|return|with)\b/
const FUNCTION_START =
  /^(export\s+)?(async\s+)?function\b|^((static|async|get|set|override|public|private|protected)\s+)*[*#]?\w+(<[^>]*>)?\(.*[({]$|=>\s*\{$/

/** Lines, functions and files that are too long. */
export function shapeProblems(file: SourceFile): string[] {
  const lines = file.text.split('\n')
  const problems: string[] = []
  for (const [index, line] of lines.entries()) {
    if (line.length > MAX_COLUMNS && !isOneLongWord(line)) {
      const message = `${line.length} columns; at most ${MAX_COLUMNS}, so that two files fit side by side`
      problems.push(`${file.path}:${index + 1}: ${message}`)
    }
  }
  if (lines.length - 1 > MAX_FILE_LINES) {
    const message = `${lines.length - 1} lines; at most ${MAX_FILE_LINES}: split it by purpose`
    problems.push(`${file.path}:1: ${message}`)
  }
  for (const { start, size } of longFunctions(file)) {
    const message = `a function of ${size} lines; at most ${MAX_FUNCTION_LINES}, so that it is seen whole`
    problems.push(`${file.path}:${start}: ${message}`)
  }
  return problems
}

/** A text or link that would only get harder to search for when it is cut. */
function isOneLongWord(line: string): boolean {
  // The formatter itself keeps the head of a test on one line.
  if (/https?:\/\/\S+\s*$|^\s*(test|describe)\(['"`]/.test(line)) return true
  const start = line.search(/['"`/]/)
  if (start < 0 || start > 60) return false
  const quote = line[start]!
  return line.lastIndexOf(quote) > MAX_COLUMNS - 10
}

/**
 * Relies on the formatter: a function's closing brace stands under the first letter of its first
 * line.
 */
export function longFunctions(file: SourceFile): { start: number; size: number }[] {
  const lines = file.code.split('\n').map((line) => line.trimEnd())
  const found: { start: number; size: number }[] = []
  for (const [index, line] of lines.entries()) {
    const body = line.trimStart()
    if (CONTROL.test(body) || /^describe\(/.test(body) || !FUNCTION_START.test(body)) continue
    const end = endOfFunction(lines, index)
    if (end === undefined) continue
    const size = end - index + 1
    if (size > MAX_FUNCTION_LINES) found.push({ start: index + 1, size })
  }
  return found
}

function endOfFunction(lines: readonly string[], start: number): number | undefined {
  const indent = indentOf(lines[start]!)
  const level = (from: number) => {
    const at = lines.findIndex((line, index) => index > from && line && indentOf(line) <= indent)
    return at < 0 || indentOf(lines[at]!) < indent ? undefined : at
  }
  let at: number | undefined = start
  if (lines[start]!.endsWith('(')) {
    at = level(start)
    // A call over several lines ends here; a signature goes on to its body.
    if (at === undefined || !/^\s*\).*\{$/.test(lines[at]!)) return undefined
  } else if (!lines[start]!.endsWith('{')) {
    return undefined
  }
  at = level(at)
  return at !== undefined && lines[at]!.trimStart().startsWith('}') ? at : undefined
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length
}
