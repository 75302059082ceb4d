/**
 * Programs of others, fetched or built once for the same sources. Invariant: a directory of the
 * cache is whole or not there, also when two processes make it at a time.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'

export class ProgramCache {
  readonly #directory: string
  readonly #limitMs: number

  /** Kept in `~/.cache/<name>`; no fetch or build takes longer than `limitMs`. */
  constructor(name: string, limitMs: number) {
    this.#directory = join(homedir(), '.cache', name)
    this.#limitMs = limitMs
  }

  /** A directory that `make` filled once for this content of the sources. */
  once(name: string, sources: readonly string[], make: (made: string) => void): string {
    const hash = createHash('sha256')
    for (const source of sources) hash.update(`${basename(source)}\0`).update(readFileSync(source))
    const directory = join(this.#directory, `${name}-${hash.digest('hex').slice(0, 16)}`)
    if (existsSync(directory)) return directory
    mkdirSync(this.#directory, { recursive: true })
    const made = mkdtempSync(join(this.#directory, 'new-'))
    try {
      make(made)
      renameSync(made, directory)
    } catch (error) {
      rmSync(made, { recursive: true, force: true })
      if (!existsSync(directory)) throw error
    }
    return directory
  }

  /** Runs a command to its end. @throws Error with its output when it fails */
  run(command: string, args: readonly string[], cwd: string): void {
    const options = { cwd, encoding: 'utf8', timeout: this.#limitMs } as const
    const { status, stdout, stderr, error } = spawnSync(command, args, options)
    if (status === 0) return
    throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`)
  }
}
