/** What a file imports. */
import type { SourceFile } from './sources.ts'

export interface Import {
  readonly specifier: string
  readonly line: number
  /** Gone after type stripping: nothing of the other file runs. */
  readonly typeOnly: boolean
}

const PATTERNS: readonly RegExp[] = [
  /\b(?:import|export)\s+(?<clause>[^'"`;()]*?)\s*\bfrom\s*(?<quote>['"])(?<specifier>[^'"]+)\k<quote>/g,
  /\bimport\s*(?<clause>)(?<quote>['"])(?<specifier>[^'"]+)\k<quote>/g,
  /\bimport\(\s*(?<clause>)(?<quote>['"])(?<specifier>[^'"]+)\k<quote>/g,
  /\b(?:new URL|workerUrl)\(\s*(?<clause>)(?<quote>['"])(?<specifier>\.[^'"]+\.ts)\k<quote>\s*,\s*import\.meta\.url/g,
]

/** Static and dynamic imports, re-exports and worker entry files. */
export function importsOf(file: SourceFile): Import[] {
  const found: Import[] = []
  for (const pattern of PATTERNS) {
    for (const match of file.uncommented.matchAll(pattern)) {
      // Inside a string (a test's sample text) the keyword itself is blanked.
      if (file.code[match.index] === ' ') continue
      const { clause = '', specifier = '' } = match.groups ?? {}
      const line = file.text.slice(0, match.index).split('\n').length
      found.push({ specifier, line, typeOnly: isTypeOnly(clause) })
    }
  }
  return found.sort((left, right) => left.line - right.line)
}

function isTypeOnly(clause: string): boolean {
  if (/^type\s/.test(clause)) return true
  const named = /^\{([\s\S]*)\}$/.exec(clause)?.[1]
  if (named === undefined) return false
  const names = named
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean)
  return names.length > 0 && names.every((name) => name.startsWith('type '))
}
