/** `mqnamesrv`: reads the configuration and runs a name server until a signal. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { runNameServer } from '@ringledger/name-server'
import { Command } from 'commander'
import { loadNameServerConfig } from '../config/name-server-config.ts'
import { openLog } from '../log.ts'
import { announce, closeOnSignals, sayFailure } from './lifecycle.ts'
import { printEffective } from './print-effective.ts'

interface Options {
  readonly configFile?: string
  readonly printConfigItem?: boolean
}

/** Resolves with the exit code, or with undefined while the server runs. */
export async function mqnamesrvMain(argv: readonly string[]): Promise<number | undefined> {
  const program = new Command('mqnamesrv')
    .description('Runs a RocketMQ name server: brokers register here, clients ask it for routes.')
    .option('-c, --configFile <file>', 'configuration file, key=value lines as in Apache RocketMQ')
    .option('-p, --printConfigItem', 'print the effective configuration and exit')
    .addHelpText('after', '\nLogs go to stdout; RINGLEDGER_LOG=json gives JSON lines.')
  program.parse(argv as string[], { from: 'user' })
  const options = program.opts<Options>()
  try {
    const config = loadNameServerConfig(options.configFile)
    if (options.printConfigItem) return printEffective(config.effective, config.warnings)
    await start(config)
    return undefined
  } catch (error) {
    return sayFailure('mqnamesrv', error)
  }
}

async function start(config: ReturnType<typeof loadNameServerConfig>): Promise<void> {
  const log = openLog()
  for (const line of config.warnings) log.warn({}, line)
  makeDirectory(dirname(config.options.kvConfigPath))
  const server = await runNameServer({ ...config.options, log })
  closeOnSignals(server, log)
  announce('listening')
  announce('serving')
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true })
  } catch (error) {
    throw new LedgerError('BAD_CONFIG', `cannot make ${path} (kvConfigPath): ${error}`)
  }
}
