/**
 * Questions to name servers and brokers. Owns the connections of one mqadmin run, and the words an
 * operator reads when a server cannot be reached or refuses.
 */
import { LedgerError } from '@ringledger/base'
import { RemotingClient } from '@ringledger/network'
import { type CommandInit, type RemotingCommand, ResponseCode } from '@ringledger/protocol'
import { AdminError, RefusedError, UsageError } from './errors.ts'

export const DEFAULT_NAME_SERVER = '127.0.0.1:9876'
const DEFAULT_TIMEOUT_MS = 5_000

export interface Question {
  readonly code: number
  readonly ext?: CommandInit['ext']
  readonly body?: Uint8Array
  /** Response codes beside 0 that the asker understands; all others are errors. */
  readonly accept?: readonly number[]
}

/** Where the name servers are: `-n`, else NAMESRV_ADDR, else this machine. */
export interface NameServers {
  readonly addresses: readonly string[]
  readonly source: 'option' | 'environment' | 'default'
}

/** @throws UsageError when an address is not `host:port`. */
export function nameServersFrom(
  option: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): NameServers {
  const fromEnvironment = environment.NAMESRV_ADDR?.trim() || undefined
  const text = option ?? fromEnvironment ?? DEFAULT_NAME_SERVER
  const addresses = text
    .split(/[;,]/)
    .map((address) => address.trim())
    .filter((address) => address !== '')
  const wrong = addresses.find((address) => !/^(\[[^\]]+\]|[^:\s]+):\d{1,5}$/.test(address))
  if (wrong !== undefined || addresses.length === 0) {
    const where = option === undefined ? 'NAMESRV_ADDR' : '-n'
    throw new UsageError(`${where}: '${wrong ?? text}' is not host:port (several: a:9876;b:9876)`)
  }
  const source = option !== undefined ? 'option' : fromEnvironment ? 'environment' : 'default'
  return { addresses, source }
}

export class Admin {
  readonly #nameServers: NameServers
  readonly #timeoutMs: number
  readonly #clients = new Map<string, Promise<RemotingClient>>()

  constructor(nameServers: NameServers, timeoutMs: number = DEFAULT_TIMEOUT_MS) {
    this.#nameServers = nameServers
    this.#timeoutMs = timeoutMs
  }

  /**
   * Asks the first name server that answers.
   * @throws AdminError when none does, RefusedError when the answer is no.
   */
  async askNameServer(question: Question): Promise<RemotingCommand> {
    const failures: string[] = []
    for (const address of this.#nameServers.addresses) {
      try {
        return this.#accepted(await this.#ask(address, question), address, question, 'name server')
      } catch (error) {
        if (!(error instanceof LedgerError)) throw error
        failures.push(reasonOf(error))
      }
    }
    throw this.#noNameServer(failures)
  }

  /**
   * Asks every name server, for changes that each of them has to make. @throws AdminError,
   * RefusedError
   */
  async askEveryNameServer(question: Question): Promise<void> {
    for (const address of this.#nameServers.addresses) {
      try {
        this.#accepted(await this.#ask(address, question), address, question, 'name server')
      } catch (error) {
        if (!(error instanceof LedgerError)) throw error
        throw this.#noNameServer([reasonOf(error)])
      }
    }
  }

  /**
   * Asks a broker. @throws AdminError when it does not answer, RefusedError when the answer is no.
   */
  async askBroker(address: string, question: Question): Promise<RemotingCommand> {
    let answer: RemotingCommand
    try {
      answer = await this.#ask(address, question)
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
      const hint = 'see which brokers are there with: mqadmin clusterList'
      throw new AdminError(`the broker at ${address} does not answer: ${reasonOf(error)}`, hint)
    }
    return this.#accepted(answer, address, question, 'broker')
  }

  async close(): Promise<void> {
    const clients = await Promise.allSettled(this.#clients.values())
    this.#clients.clear()
    for (const client of clients) if (client.status === 'fulfilled') await client.value.close()
  }

  async #ask(address: string, question: Question): Promise<RemotingCommand> {
    const client = await this.#connected(address)
    const { code, ext, body } = question
    return client.request({ code, ext, body }, this.#timeoutMs)
  }

  #connected(address: string): Promise<RemotingClient> {
    let connected = this.#clients.get(address)
    if (connected === undefined) {
      connected = dial(address, this.#timeoutMs)
      this.#clients.set(address, connected)
    }
    return connected
  }

  #accepted(
    answer: RemotingCommand,
    address: string,
    question: Question,
    role: string,
  ): RemotingCommand {
    if (answer.code === ResponseCode.SUCCESS || question.accept?.includes(answer.code)) {
      return answer
    }
    const reason = answer.remark?.trim() || 'it gave no reason'
    const name = responseName(answer.code)
    throw new RefusedError(
      answer.code,
      `the ${role} at ${address} refused request ${question.code}: ${reason} (${name})`,
    )
  }

  #noNameServer(failures: readonly string[]): AdminError {
    const { addresses, source } = this.#nameServers
    const from = {
      option: '',
      environment: ' (from NAMESRV_ADDR)',
      default: ' (the default)',
    }[source]
    const start = 'start one with: mqnamesrv   or a whole cluster with: ./fast-try.sh start'
    const other = 'name another with: -n host:port, or NAMESRV_ADDR=host:port'
    return new AdminError(
      `no name server answers at ${addresses.join(';')}${from}: ${failures.join('; ')}`,
      `${start}\n${other}`,
    )
  }
}

async function dial(address: string, connectTimeoutMs: number): Promise<RemotingClient> {
  const client = new RemotingClient({ connectTimeoutMs })
  await client.connect(address)
  return client
}

/** The innermost reason, which says what the system said. */
function reasonOf(error: LedgerError): string {
  const cause = error.cause as NodeJS.ErrnoException | undefined
  if (cause?.code === 'ECONNREFUSED') return 'nobody listens there'
  if (cause?.code === 'ENOTFOUND') return 'the host name is not known'
  return error.message
}

function responseName(code: number): string {
  const found = Object.entries(ResponseCode).find(([, value]) => value === code)
  return found === undefined ? `code ${code}` : `${found[0]}, code ${code}`
}
