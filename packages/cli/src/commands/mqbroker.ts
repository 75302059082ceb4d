/** `mqbroker`: reads the configuration and runs one node of a broker group until a signal. */
import type { NodeSettings } from '@ringledger/broker'
import { Command } from 'commander'
import { type BrokerConfig, loadBrokerConfig } from '../config/broker-config.ts'
import { type Logger, openLog } from '../log.ts'
import { announce, type Closeable, closeOnSignals, sayFailure } from './lifecycle.ts'
import { printEffective } from './print-effective.ts'

interface Options {
  readonly configFile?: string
  readonly namesrvAddr?: string
  readonly printConfigItem?: boolean
}

/** Resolves with the exit code, or with undefined while the broker runs. */
export async function mqbrokerMain(argv: readonly string[]): Promise<number | undefined> {
  const program = new Command('mqbroker')
    .description('Runs one node of a broker group; its log is replicated by Raft.')
    .option('-c, --configFile <file>', 'broker.conf, in the format of Apache RocketMQ')
    .option('-n, --namesrvAddr <list>', 'name servers, host:port;host:port (over the file)')
    .option('-p, --printConfigItem', 'print the effective configuration and exit')
    .addHelpText('after', '\nSettings: docs/operate/settings.md. Logs go to stdout.')
  program.parse(argv as string[], { from: 'user' })
  const { configFile, namesrvAddr, printConfigItem } = program.opts<Options>()
  const overrides: Record<string, string> = namesrvAddr === undefined ? {} : { namesrvAddr }
  try {
    const config = loadBrokerConfig(configFile, overrides)
    if (printConfigItem) return printEffective(config.effective, config.warnings)
    await start(config)
    return undefined
  } catch (error) {
    return sayFailure('mqbroker', error)
  }
}

async function start({ settings, warnings }: BrokerConfig): Promise<void> {
  const log = openLog()
  for (const line of warnings) log.warn({}, line)
  const broker = await startBroker(settings, log)
  closeOnSignals(broker, log)
  const address = `${settings.brokerIP1}:${settings.listenPort}`
  log.info({ id: settings.dLegerSelfId, address }, `broker ${settings.brokerName} listens`)
  announce('listening')
  await broker.whenServing
  log.info({ id: settings.dLegerSelfId }, 'broker serves')
  announce('serving')
}

/** What the broker package offers, seen from here. */
interface BrokerDoor {
  startBroker(settings: NodeSettings, log: Logger): Promise<RunningBroker>
}

interface RunningBroker extends Closeable {
  /** Resolves when this node first takes part: leads and takes writes, or follows a leader. */
  readonly whenServing: Promise<void>
}

/** Loaded late: printing a configuration needs no broker. */
async function startBroker(settings: NodeSettings, log: Logger): Promise<RunningBroker> {
  const door = (await import('@ringledger/broker')) as unknown as BrokerDoor
  return await door.startBroker(settings, log)
}
