/** What a configuration takes from the machine, passed in so that tests own it. */
import { availableParallelism, homedir, hostname, networkInterfaces, totalmem } from 'node:os'
import { resolve } from 'node:path'

export interface ConfigEnvironment {
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly homeDirectory: string
  readonly hostName: string
  /** Address of this machine that others can reach, as far as can be told. */
  readonly address: string
  readonly cores: number
  readonly memoryBytes: number
}

export function systemEnvironment(): ConfigEnvironment {
  return {
    variables: process.env,
    homeDirectory: homedir(),
    hostName: hostname(),
    address: firstAddress(),
    cores: availableParallelism(),
    memoryBytes: totalmem(),
  }
}

function firstAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}

/**
 * The absolute path that the operator means: a leading `~/`, `${user.home}` and `${ROCKETMQ_HOME}`
 * are replaced. Returns undefined when something else stands in `${…}` or the variable is not set:
 * Apache would make a directory of that name.
 */
export function expandPath(
  text: string,
  environment: ConfigEnvironment,
  rocketmqHome = '',
): string | undefined {
  const home = rocketmqHome || environment.variables.ROCKETMQ_HOME || ''
  const expanded = text
    .replace(/^~(?=\/|$)/, environment.homeDirectory)
    .replaceAll('${user.home}', environment.homeDirectory)
    .replaceAll('${ROCKETMQ_HOME}', home || '${ROCKETMQ_HOME}')
  return expanded.includes('${') ? undefined : resolve(expanded)
}
