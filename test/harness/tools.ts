/**
 * The real clients and tools, fetched once for all tests through Maven, the Go proxy and npm, and
 * compiled when their sources change. Kept in ~/.cache/ringledger-test.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { ROOT } from '../support/run-command.ts'
import type { Program } from './client-driver.ts'

const CACHE = join(homedir(), '.cache', 'ringledger-test')
const CLIENTS = join(ROOT, 'test', 'clients')
const FETCH_LIMIT_MS = 8 * 60_000

export type JavaVersion = '5.4.0' | '4.9.4'

/**
 * 4.9.4 otherwise leaves new queues unlocked for up to 20 s. 5.4.0 must not have it: a member that
 * leaves may lock its queues again after it gave them back, and they stay locked for a minute.
 * 4.9.4 may go on only 30 s after a kill -9: docs/protocol/remoting.md says why.
 */
const VERSION_OPTIONS: Readonly<Record<JavaVersion, readonly string[]>> = {
  '5.4.0': [],
  '4.9.4': ['-Drocketmq.client.rebalance.lockInterval=1000'],
}

const DRIVER_SOURCES = ['ClientDriver', 'Producing', 'Consuming', 'Pulling'] as const

/** Small and quick to start; enough for tens of thousands of messages. */
const JVM_OPTIONS: readonly string[] = [
  '-Xmx128m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  // 20 s by default: how soon a member looks again for queues that another one still holds.
  '-Drocketmq.client.rebalance.waitInterval=1000',
  '-Drocketmq.client.unlockDelayTimeMills=1000',
]

/** The driver of the Java client of that version. */
export function javaClient(version: JavaVersion, home: string): Program {
  return java(version, 'ClientDriver', DRIVER_SOURCES, home)
}

/** Runs commands of the real mqadmin 5.4.0 in one process (test/clients/java/AdminDriver.java). */
export function javaAdmin(home: string): Program {
  return java('5.4.0', 'AdminDriver', ['AdminDriver'], home)
}

/** The driver of rocketmq-client-go. */
export function goClient(): Program {
  const files = ['go.mod', 'go.sum', 'main.go', 'consuming.go', 'producing.go']
  const command = goProgram(join(CLIENTS, 'go'), files)
  return {
    command,
    args: [],
    env: { ...process.env, ROCKETMQ_GO_LOG_LEVEL: 'warn' },
  }
}

/** Path of a program in Go, built of these files of a directory. */
export function goProgram(source: string, files: readonly string[]): string {
  const name = basename(source)
  const paths = files.map((file) => join(source, file))
  const directory = cached(name, paths, (made) => {
    run('go', ['build', '-o', join(made, 'driver'), '.'], source)
  })
  return join(directory, 'driver')
}

/** The driver of npm's ali-ons. */
export function aliOnsClient(): Program {
  return { command: process.execPath, args: [join(CLIENTS, 'ali-ons', 'driver.ts')] }
}

function java(version: JavaVersion, main: string, names: readonly string[], home: string): Program {
  const pom = join(CLIENTS, 'java', `rocketmq-${version}`, 'pom.xml')
  const jars = cached(`java-${version}`, [pom], (made) => {
    const copy = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${made}`]
    run('mvn', copy, dirname(pom))
  })
  const sources = names.map((name) => join(CLIENTS, 'java', `${name}.java`))
  const classes = cached(`${main}-${version}`, [pom, ...sources], (made) => {
    run('javac', ['-nowarn', '-d', made, '-cp', join(jars, '*'), ...sources], made)
  })
  // The client writes logs and offsets below the home directory.
  const args = [...JVM_OPTIONS, ...VERSION_OPTIONS[version], `-Duser.home=${home}`, '-cp']
  return { command: 'java', args: [...args, [classes, join(jars, '*')].join(delimiter), main] }
}

/**
 * A directory that `make` filled once for this content of the sources. It appears whole or not at
 * all, also when two processes make it at a time.
 */
function cached(name: string, sources: readonly string[], make: (made: string) => void): string {
  const hash = createHash('sha256')
  for (const source of sources) hash.update(`${basename(source)}\0`).update(readFileSync(source))
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
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: FETCH_LIMIT_MS,
  })
  if (status === 0) return
  throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`)
}
