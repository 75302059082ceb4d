/**
 * The repository's source files as the house tests see them: path, text, and text without words.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { blankWords } from './blank-words.ts'

export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))

export interface SourceFile {
  /** Relative to the repository, with `/`. */
  readonly path: string
  readonly text: string
  /** Same length and lines; comments, strings and regular expressions are blanked. */
  readonly code: string
  /** Like `code`, but strings are kept. */
  readonly uncommented: string
}

const TOP_LEVEL: readonly string[] = ['packages', 'bench', 'examples', 'test', 'scripts']
const NOT_OURS = /^(node_modules|dist|testdata|\..*)$/

/** Every TypeScript and script file of the repository. */
export function sourceFiles(): SourceFile[] {
  return TOP_LEVEL.flatMap(walk)
    .sort()
    .map((path) => {
      const text = readFileSync(`${ROOT}/${path}`, 'utf8')
      return { path, text, ...blankWords(text) }
    })
}

function walk(directory: string): string[] {
  const found: string[] = []
  for (const entry of readdirSync(`${ROOT}/${directory}`, { withFileTypes: true })) {
    const path = `${directory}/${entry.name}`
    if (NOT_OURS.test(entry.name)) continue
    if (entry.isDirectory()) found.push(...walk(path))
    else if (/\.(ts|mjs|js)$/.test(entry.name)) found.push(path)
  }
  return found
}

/** `packages/ring/src/wait.ts` → `ring`; undefined outside of packages. */
export function packageOf(path: string): string | undefined {
  return /^packages\/([^/]+)\//.exec(path)?.[1]
}

export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/')
}
