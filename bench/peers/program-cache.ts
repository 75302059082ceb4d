/**
 * Programs of others, fetched and built once for the same sources, through Maven and the Go proxy.
 * Kept in ~/.cache/ringledger-bench. Invariant: a directory there is whole or not there.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CACHE = join(homedir(), '.cache', 'ringledger-bench')
const LIMIT_MS = 10 * 60_000

/** The class path of the broker and the name server. @throws Error without java or mvn. */
export function apacheClassPath(): string {
  const source = directoryOf('./apache/')
  const jars = cached('apache', source, (made) => {
    const copy = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${made}`]
    run('mvn', copy, source)
  })
  return join(jars, '*')
}

/** Path of the program in peers/nats. @throws Error without go. */
export function natsProgram(): string {
  const source = directoryOf('./nats/')
  const directory = cached('nats', source, (made) => {
    run('go', ['build', '-o', join(made, 'nats-peer'), '.'], source)
  })
  return join(directory, 'nats-peer')
}

function directoryOf(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url))
}

function cached(name: string, source: string, make: (made: string) => void): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(source).sort()) {
    if (!/\.(go|mod|sum|xml)$/.test(file)) continue
    hash.update(`${file}\0`).update(readFileSync(join(source, file)))
  }
  const directory = join(CACHE, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(directory)) return directory
  mkdirSync(CACHE, { recursive: true })
  const made = mkdtempSync(join(CACHE, 'new-'))
  try {
    make(made)
    renameSync(made, directory)
  } catch (error) {
    rmSync(made, { recursive: true, force: true })
    if (!existsSync(directory)) throw error
  }
  return directory
}

function run(command: string, args: readonly string[], cwd: string): void {
  const options = { cwd, encoding: 'utf8', timeout: LIMIT_MS } as const
  const { status, stdout, stderr, error } = spawnSync(command, args, options)
  if (status === 0) return
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`)
}
