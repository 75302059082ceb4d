/**
 * A real broker of Apache RocketMQ, fetched from Maven Central, as a process of its own on a store
 * that a test gives it. Owns the rule that only its own process is ever signalled.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { RequestCode } from '@ringledger/protocol'
import { eventually } from '../harness/eventually.ts'
import { OwnProcess } from '../harness/line-process.ts'
import { ask, brokerIds, createTopic } from '../harness/name-server.ts'
import { ProgramCache } from '../support/program-cache.ts'

export type ApacheVersion = '5.4.0' | '4.9.4'
export type Settings = Readonly<Record<string, string>>

export const APACHE_VERSIONS: readonly ApacheVersion[] = ['5.4.0', '4.9.4']

const CACHE = new ProgramCache('ringledger-test', 8 * 60_000)
const START_LIMIT_MS = 600_000
/** A leader's from when it takes messages; until then it is what its configuration says. */
const LEADER_ROLE = 'brokerRole=SYNC_MASTER'
const SHOWN_LOG_LINES = 60

/** What its own start script opens of the JDK, and as little memory as it starts with. */
const JVM_OPTIONS: readonly string[] = [
  '-Xms256m',
  '-Xmx512m',
  '-XX:MaxDirectMemorySize=512m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED',
  ...['java.nio', 'sun.nio.ch', 'java.lang', 'java.util'].map(
    (name) => `--add-opens=java.base/${name}=ALL-UNNAMED`,
  ),
]

/** 4.9.4 does not start without such a file. */
const LOGGING = `<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %p %t %c{0}: %m%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
`

export interface ApacheStart {
  readonly version: ApacheVersion
  /** Of its broker.conf; with brokerName, brokerIP1, listenPort, namesrvAddr, storePathRootDir. */
  readonly settings: Settings
  /** Where its broker.conf, its home and its log go; made when missing. */
  readonly directory: string
}

export class ApacheBroker {
  readonly version: ApacheVersion
  readonly address: string
  readonly settings: Settings
  readonly #process: OwnProcess
  readonly #logPath: string

  private constructor({ version, settings, directory }: ApacheStart) {
    this.version = version
    this.settings = settings
    this.address = `${settings.brokerIP1}:${settings.listenPort}`
    this.#logPath = join(directory, 'broker.log')
    const home = join(directory, 'home')
    mkdirSync(join(home, 'conf'), { recursive: true })
    writeFileSync(join(home, 'conf', 'logback_broker.xml'), LOGGING)
    const configPath = join(directory, 'broker.conf')
    const lines = Object.entries(settings).map((pair) => pair.join('='))
    writeFileSync(configPath, `${lines.join('\n')}\n`)
    const main = 'org.apache.rocketmq.broker.BrokerStartup'
    const options = [...JVM_OPTIONS, `-Duser.home=${home}`, '-cp', classPath(version)]
    this.#process = new OwnProcess({
      command: 'java',
      args: [...options, main, '-c', configPath],
      cwd: directory,
      env: { ...process.env, ROCKETMQ_HOME: home },
      logPath: this.#logPath,
    })
  }

  /**
   * Resolves when it serves messages: in DLedger mode when it leads.
   * @throws Error when it ends before, or takes too long; the end of its log is shown
   */
  static async start(start: ApacheStart): Promise<ApacheBroker> {
    const broker = new ApacheBroker(start)
    try {
      await Promise.race([broker.#serves(), broker.#endedEarly()])
    } catch (error) {
      process.stderr.write(broker.log())
      await broker.end('SIGKILL')
      throw error
    }
    return broker
  }

  async createTopic(topic: string, queues: number, attributes?: string): Promise<void> {
    await createTopic(this.address, this.settings.namesrvAddr ?? '', topic, queues, attributes)
  }

  /** Resolves when the name server knows it as broker `id`; that may take half a minute. */
  async registered(id = 0): Promise<void> {
    const { namesrvAddr = '', brokerName = '' } = this.settings
    await eventually(
      async () => {
        const known = await brokerIds(namesrvAddr, brokerName)
        return known.get(id) === this.address ? true : undefined
      },
      { what: `the registration of Apache's ${this.version}`, limitMs: START_LIMIT_MS },
    )
  }

  /** SIGTERM: it closes its store in order. Resolves when it has ended. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#process.end(signal)
  }

  /** The last lines of its log. */
  log(): string {
    return readFileSync(this.#logPath, 'utf8').split('\n').slice(-SHOWN_LOG_LINES).join('\n')
  }

  #serves(): Promise<true> {
    const role = this.settings.enableDLegerCommitLog === 'true' ? LEADER_ROLE : 'brokerRole='
    return eventually(
      async () => {
        const { body } = await ask(this.address, { code: RequestCode.GET_BROKER_CONFIG })
        return body.includes(role) ? true : undefined
      },
      { what: `the start of Apache's ${this.version}`, limitMs: START_LIMIT_MS },
    )
  }

  async #endedEarly(): Promise<never> {
    await this.#process.ended()
    throw new Error(`the broker of Apache's ${this.version} ended`)
  }
}

function classPath(version: ApacheVersion): string {
  const pom = join(import.meta.dirname, `rocketmq-${version}`, 'pom.xml')
  const jars = CACHE.once(`broker-${version}`, [pom], (made) => {
    const copy = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${made}`]
    CACHE.run('mvn', copy, dirname(pom))
  })
  return join(jars, '*')
}
