/**
 * Programs of others, fetched and built once for the same sources, through Maven and the Go proxy.
 * Kept in ~/.cache/ringledger-bench.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ProgramCache } from '../../test/support/program-cache.ts'

const LIMIT_MS = 10 * 60_000
const CACHE = new ProgramCache('ringledger-bench', LIMIT_MS)

/** The class path of the broker and the name server. @throws Error without java or mvn. */
export function apacheClassPath(): string {
  const source = directoryOf('./apache/')
  const jars = CACHE.once('apache', sourcesIn(source), (made) => {
    const copy = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${made}`]
    CACHE.run('mvn', copy, source)
  })
  return join(jars, '*')
}

/** Path of the program in peers/nats. @throws Error without go. */
export function natsProgram(): string {
  const source = directoryOf('./nats/')
  const directory = CACHE.once('nats', sourcesIn(source), (made) => {
    CACHE.run('go', ['build', '-o', join(made, 'nats-peer'), '.'], source)
  })
  return join(directory, 'nats-peer')
}

function directoryOf(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url))
}

function sourcesIn(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => /\.(go|mod|sum|xml)$/.test(name))
  return names.sort().map((name) => join(directory, name))
}
