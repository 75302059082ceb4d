/** From a namesrv.conf to settings that can be used, with the same strictness as a broker.conf. */
import {
  booleanSetting,
  formatSettings,
  integerSetting,
  readSettings,
  type SettingsSchema,
  textSetting,
} from '@ringledger/base'
import type { NameServerOptions, NameServerSettings } from '@ringledger/name-server'
import { type ConfigEnvironment, expandPath, systemEnvironment } from './environment.ts'
import { NAME_SERVER_KEYS } from './known-keys.ts'
import { readConfigSource, refuse, sayRemarks } from './source.ts'
import { checkBindAddress } from './value-checks.ts'

interface NameServerKeys extends NameServerSettings {
  listenPort: number
  bindAddress: string
  serverChannelMaxIdleTimeSeconds: number
  kvConfigPath: string
  configStorePath: string
  rocketmqHome: string
}

export interface NameServerConfig {
  readonly options: NameServerOptions & { kvConfigPath: string; configStorePath: string }
  /** One line each, with file and line number. */
  readonly warnings: readonly string[]
  /** Every key with the value it has, sorted by key. */
  readonly effective: ReadonlyMap<string, string>
}

const flag = (defaultValue: boolean, doc: string) => booleanSetting({ doc, defaultValue })

const schema: SettingsSchema<NameServerKeys> = {
  listenPort: integerSetting({ doc: 'Port.', defaultValue: 9876, min: 1, max: 65535 }),
  bindAddress: textSetting({
    doc: 'Local address that the port is bound to.',
    defaultValue: '0.0.0.0',
    check: checkBindAddress,
  }),
  serverChannelMaxIdleTimeSeconds: integerSetting({
    doc: 'A connection without traffic is closed after this time.',
    unit: 'seconds',
    defaultValue: 120,
    min: 1,
    max: 86_400,
  }),
  kvConfigPath: textSetting({
    doc: 'File of the KV configuration.',
    defaultValue: '${user.home}/namesrv/kvConfig.json',
  }),
  configStorePath: textSetting({
    doc: 'File that mqadmin updateNamesrvConfig writes. Default: the file of -c.',
    defaultValue: '',
  }),
  rocketmqHome: textSetting({ doc: 'Stands for ${ROCKETMQ_HOME} in paths.', defaultValue: '' }),
  orderMessageEnable: flag(false, 'Put the order configuration of a topic into its route.'),
  returnOrderTopicConfigToBroker: flag(true, 'Answer registrations with the order topics.'),
  deleteTopicWithBrokerRegistration: flag(
    false,
    'A topic that a full registration no longer names loses its queues on that broker.',
  ),
  supportActingMaster: flag(false, 'Report the smallest id as 0 while a group has no master.'),
  enableAllTopicList: flag(true, 'Answer the list of all topics.'),
  enableTopicList: flag(true, 'Answer the lists of topics by cluster, unit and system.'),
  needWaitForService: flag(false, 'Refuse routes for a while after the start.'),
  waitSecondsForService: integerSetting({
    doc: 'How long routes are refused when needWaitForService is set.',
    unit: 'seconds',
    defaultValue: 45,
    min: 0,
    max: 3_600,
  }),
  scanNotActiveBrokerInterval: integerSetting({
    doc: 'Pause between two searches for silent brokers.',
    unit: 'ms',
    defaultValue: 5_000,
    min: 10,
    max: 600_000,
  }),
}

/**
 * Reads `path` (none: only defaults).
 * @throws LedgerError BAD_CONFIG naming every problem with file and line.
 */
export function loadNameServerConfig(
  path: string | undefined,
  environment: ConfigEnvironment = systemEnvironment(),
): NameServerConfig {
  const source = readConfigSource(path, {})
  const read = readSettings(schema, source.entries, NAME_SERVER_KEYS)
  const problems = [...source.problems, ...read.problems]
  const keys = { ...read.values }
  keys.rocketmqHome ||= environment.variables.ROCKETMQ_HOME ?? ''
  // As in Apache: a change by mqadmin goes where the next start reads it.
  keys.configStorePath ||= path ?? '${user.home}/namesrv/namesrv.properties'
  for (const key of ['kvConfigPath', 'configStorePath'] as const) {
    const expanded = expandPath(keys[key], environment, keys.rocketmqHome)
    const why = 'only ${user.home} and ${ROCKETMQ_HOME} (when set) are replaced'
    if (expanded !== undefined) keys[key] = expanded
    else problems.push({ line: read.lines.get(key) ?? 0, message: `${key}=${keys[key]}: ${why}` })
  }
  if (problems.length > 0) refuse(source, problems)
  return {
    options: toOptions(keys),
    warnings: sayRemarks(source, read.warnings),
    effective: formatSettings(schema, keys),
  }
}

function toOptions(keys: NameServerKeys): NameServerConfig['options'] {
  const { listenPort, bindAddress, serverChannelMaxIdleTimeSeconds, ...rest } = keys
  const { kvConfigPath, configStorePath, rocketmqHome: _, ...settings } = rest
  return {
    listenPort,
    host: bindAddress,
    idleTimeoutMs: serverChannelMaxIdleTimeSeconds * 1_000,
    kvConfigPath,
    configStorePath,
    settings,
  }
}
