/** The difference of two small texts as `diff -u` shows it. Owns the shape of hunks. */

const CONTEXT_LINES = 3

interface Step {
  readonly mark: ' ' | '-' | '+'
  readonly line: string
}

/** Empty when the texts are the same. */
export function unifiedDiff(before: string, after: string, from: string, to: string): string {
  if (before === after) return ''
  const steps = stepsBetween(linesOf(before), linesOf(after))
  const hunks = hunksOf(steps).map((hunk) => hunkText(steps, hunk))
  return [`--- ${from}`, `+++ ${to}`, ...hunks].join('\n')
}

function linesOf(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** By the longest common subsequence; configuration files are short. */
function stepsBetween(before: readonly string[], after: readonly string[]): Step[] {
  const common = commonLengths(before, after)
  const steps: Step[] = []
  let left = 0
  let right = 0
  while (left < before.length || right < after.length) {
    if (left < before.length && before[left] === after[right]) {
      steps.push({ mark: ' ', line: before[left]! })
      left++
      right++
    } else if (
      right === after.length ||
      below(common, left, right) >= beside(common, left, right)
    ) {
      if (left === before.length) steps.push({ mark: '+', line: after[right++]! })
      else steps.push({ mark: '-', line: before[left++]! })
    } else steps.push({ mark: '+', line: after[right++]! })
  }
  return steps
}

/** `table[left][right]`: how many lines the rests from there on share. */
function commonLengths(before: readonly string[], after: readonly string[]): Uint32Array[] {
  const table = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1))
  for (let left = before.length - 1; left >= 0; left--) {
    for (let right = after.length - 1; right >= 0; right--) {
      table[left]![right] =
        before[left] === after[right]
          ? 1 + table[left + 1]![right + 1]!
          : Math.max(below(table, left, right), beside(table, left, right))
    }
  }
  return table
}

function below(table: readonly Uint32Array[], left: number, right: number): number {
  return table[left + 1]?.[right] ?? 0
}

function beside(table: readonly Uint32Array[], left: number, right: number): number {
  return table[left]?.[right + 1] ?? 0
}

interface Hunk {
  readonly start: number
  readonly end: number
}

function hunksOf(steps: readonly Step[]): Hunk[] {
  const hunks: { start: number; end: number }[] = []
  for (const [at, { mark }] of steps.entries()) {
    if (mark === ' ') continue
    const start = Math.max(0, at - CONTEXT_LINES)
    const end = Math.min(steps.length, at + CONTEXT_LINES + 1)
    const last = hunks.at(-1)
    if (last !== undefined && start <= last.end) last.end = end
    else hunks.push({ start, end })
  }
  return hunks
}

function hunkText(steps: readonly Step[], { start, end }: Hunk): string {
  const lines = steps.slice(start, end)
  const head = steps.slice(0, start)
  const count = (of: readonly Step[], without: string): number => {
    return of.filter(({ mark }) => mark !== without).length
  }
  const range = (without: string): string => {
    const length = count(lines, without)
    const first = count(head, without) + (length === 0 ? 0 : 1)
    return `${first},${length}`
  }
  const title = `@@ -${range('+')} +${range('-')} @@`
  return [title, ...lines.map(({ mark, line }) => `${mark}${line}`)].join('\n')
}
