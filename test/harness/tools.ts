/**
 * The real clients and tools, fetched once for all tests through Maven, the Go proxy and npm, and
 * compiled when their sources change. Kept in ~/.cache/ringledger-test.
 */
import { basename, delimiter, dirname, join } from 'node:path'
import { ProgramCache } from '../support/program-cache.ts'
import { ROOT } from '../support/run-command.ts'
import type { Program } from './client-driver.ts'

const CLIENTS = join(ROOT, 'test', 'clients')
const FETCH_LIMIT_MS = 8 * 60_000
const CACHE = new ProgramCache('ringledger-test', FETCH_LIMIT_MS)

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

const DRIVER_SOURCES = [
  'ClientDriver',
  'Producing',
  'Transacting',
  'Consuming',
  'Pulling',
  'Dumping',
] as const

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
  const directory = CACHE.once(name, paths, (made) => {
    CACHE.run('go', ['build', '-o', join(made, 'driver'), '.'], source)
  })
  return join(directory, 'driver')
}

/** The driver of npm's ali-ons. */
export function aliOnsClient(): Program {
  return { command: process.execPath, args: [join(CLIENTS, 'ali-ons', 'driver.ts')] }
}

function java(version: JavaVersion, main: string, names: readonly string[], home: string): Program {
  const pom = join(CLIENTS, 'java', `rocketmq-${version}`, 'pom.xml')
  const jars = CACHE.once(`java-${version}`, [pom], (made) => {
    const copy = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${made}`]
    CACHE.run('mvn', copy, dirname(pom))
  })
  const sources = names.map((name) => join(CLIENTS, 'java', `${name}.java`))
  const classes = CACHE.once(`${main}-${version}`, [pom, ...sources], (made) => {
    CACHE.run(
      'javac',
      ['-nowarn', '-encoding', 'UTF-8', '-d', made, '-cp', join(jars, '*'), ...sources],
      made,
    )
  })
  // The client writes logs and offsets below the home directory.
  const args = [...JVM_OPTIONS, ...VERSION_OPTIONS[version], `-Duser.home=${home}`, '-cp']
  return { command: 'java', args: [...args, [classes, join(jars, '*')].join(delimiter), main] }
}
