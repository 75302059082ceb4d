/** `mqbroker`: reads the configuration and runs one node of a broker group until a signal. */
import type { NodeSettings, RunningBroker, TellWork } from '@ringledger/broker'
import { Command } from 'commander'
import { type BrokerConfig, loadBrokerConfig } from '../config/broker-config.ts'
import { type Logger, openLog } from '../log.ts'
import { announce, closeOnSignals, sayFailure } from './lifecycle.ts'
import { printEffective } from './print-effective.ts'

/** Exit code when a thread failed; the reason is in the log. */
const FAILED = 1
/** Exit code after a failed write or sync (EX_IOERR): starting again does not heal a disk. */
const DISK_FAILED = 74

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
    .addHelpText(
      'after',
      '\nSettings: docs/operate/settings.md. Logs go to stdout; kill -USR2 logs a line of status.',
    )
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
  let broker: RunningBroker | undefined
  let work = ''
  process.on('SIGUSR2', () => logStatus(broker, work, log))
  broker = await startNode(settings, log, (text) => {
    work = text
  })
  closeOnSignals(broker, log)
  broker.whenFailed.catch((error) => {
    process.exit(error.code === 'DISK_FAILED' ? DISK_FAILED : FAILED)
  })
  const address = `${settings.brokerIP1}:${settings.listenPort}`
  log.info({ id: settings.dLegerSelfId, address }, `broker ${settings.brokerName} listens`)
  announce('listening')
  await broker.whenServing
  log.info({ id: settings.dLegerSelfId }, 'broker serves')
  announce('serving')
}

/** Utilization is that since the last such line, or since the start. */
function logStatus(broker: RunningBroker | undefined, work: string, log: Logger): void {
  if (broker === undefined) {
    log.info({}, work === '' ? 'status: starting' : `status: starting: ${work}`)
    return
  }
  const { mainUtilization, ...status } = broker.status()
  const residentBytes = process.memoryUsage.rss()
  log.info({ ...status, residentBytes, mainUtilization: mainUtilization.toFixed(4) }, 'status')
}

/** Loaded late: printing a configuration needs no broker. */
async function startNode(
  settings: NodeSettings,
  log: Logger,
  tellWork: TellWork,
): Promise<RunningBroker> {
  const { startBroker } = await import('@ringledger/broker')
  return await startBroker(settings, (level, line) => log[level]({}, line), tellWork)
}
