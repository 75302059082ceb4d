/**
 * The repository's source files as the house tests see them: path, text, and text without words.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
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

/** Every TypeScript and script file that git would commit. */
export function sourceFiles(): SourceFile[] {
  const list = ['ls-files', '--cached', '--others', '--exclude-standard', '-z']
  const patterns = ['*.ts', '*.mjs', '*.js']
  const output = execFileSync('git', [...list, '--', ...patterns], { cwd: ROOT, encoding: 'utf8' })
  const files: SourceFile[] = []
  for (const path of new Set(output.split('\0'))) {
    const text = path === '' ? undefined : readIfThere(path)
    if (text === undefined) continue
    const { code, uncommented } = blankWords(text)
    files.push({ path, text, code, uncommented })
  }
  return files.sort((left, right) => (left.path < right.path ? -1 : 1))
}

/** A file that git still lists may be deleted in the working tree. */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(`${ROOT}/${path}`, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** `packages/ring/src/wait.ts` → `ring`; undefined outside of packages. */
export function packageOf(path: string): string | undefined {
  return /^packages\/([^/]+)\//.exec(path)?.[1]
}

export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.startsWith('test/')
}
