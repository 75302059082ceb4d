/**
 * Options of the name server: what `mqadmin updateNamesrvConfig` may change while it runs, what is
 * fixed at start, and the keys RocketMQ knows that have no meaning here. Owns the rule that a
 * malformed or unknown value never replaces a good one.
 */
import { LedgerError } from '@ringledger/base'

/** Settings that may change while the server runs, under RocketMQ's own key names. */
export interface NameServerSettings {
  /** Put the order-topic list of a topic into its route. */
  orderMessageEnable: boolean
  /** Answer registrations with the table of order topics. */
  returnOrderTopicConfigToBroker: boolean
  /** A topic that a full registration no longer names loses its queues on that broker. */
  deleteTopicWithBrokerRegistration: boolean
  /** Report the smallest id as id 0 while a group that allows it has no master. */
  supportActingMaster: boolean
  /** Answer code 206; when false such requests get code 1. */
  enableAllTopicList: boolean
  /** Answer codes 224, 304 and 311 to 313; when false such requests get code 1. */
  enableTopicList: boolean
  /**
   * Refuse route requests for `waitSecondsForService` after the start, until brokers had time to
   * register.
   */
  needWaitForService: boolean
  /** Seconds. */
  waitSecondsForService: number
  /** Milliseconds between two searches for silent brokers. */
  scanNotActiveBrokerInterval: number
}

/** RocketMQ's defaults. */
export const NAME_SERVER_DEFAULTS: Readonly<
  NameServerSettings & {
    listenPort: number
    bindAddress: string
    serverChannelMaxIdleTimeSeconds: number
  }
> = {
  listenPort: 9876,
  bindAddress: '0.0.0.0',
  serverChannelMaxIdleTimeSeconds: 120,
  orderMessageEnable: false,
  returnOrderTopicConfigToBroker: true,
  deleteTopicWithBrokerRegistration: false,
  supportActingMaster: false,
  enableAllTopicList: true,
  enableTopicList: true,
  needWaitForService: false,
  waitSecondsForService: 45,
  scanNotActiveBrokerInterval: 5_000,
}

/** Keys of RocketMQ's name server that are accepted, kept and shown, but change nothing here. */
export const NAME_SERVER_IGNORED_KEYS: readonly string[] = [
  'clientRequestThreadPoolNums',
  'clientRequestThreadPoolQueueCapacity',
  'clusterTest',
  'defaultThreadPoolNums',
  'defaultThreadPoolQueueCapacity',
  'enableControllerInNamesrv',
  'enableShutdownGracefully',
  'notifyMinBrokerIdChanged',
  'productEnvName',
  'serverAsyncSemaphoreValue',
  'serverCallbackExecutorThreads',
  'serverNettyWorkerGroupEnable',
  'serverOnewaySemaphoreValue',
  'serverPooledByteBufAllocatorEnable',
  'serverSelectorThreads',
  'serverSocketBacklog',
  'serverSocketRcvBufSize',
  'serverSocketSndBufSize',
  'serverWorkerThreads',
  'shutdownWaitTimeSeconds',
  'unRegisterBrokerQueueCapacity',
  'useEpollNativeSelector',
  'writeBufferHighWaterMark',
  'writeBufferLowWaterMark',
]

/**
 * Keys that a running server never changes, whoever asks (RocketMQ's configBlackList and its like).
 */
export const NAME_SERVER_BLACK_LIST: readonly string[] = [
  'configBlackList',
  'configStorePath',
  'kvConfigPath',
  'rocketmqHome',
]

/** Keys that are read at start only. */
const FIXED_KEYS: readonly string[] = [
  'listenPort',
  'bindAddress',
  'serverChannelMaxIdleTimeSeconds',
]

const MAX_PROPERTIES_BYTES = 64 * 1024
const SETTING_KEYS = [
  'orderMessageEnable',
  'returnOrderTopicConfigToBroker',
  'deleteTopicWithBrokerRegistration',
  'supportActingMaster',
  'enableAllTopicList',
  'enableTopicList',
  'needWaitForService',
  'waitSecondsForService',
  'scanNotActiveBrokerInterval',
] as const satisfies readonly (keyof NameServerSettings)[]

/** The settings with RocketMQ's defaults under what the caller gives. */
export function nameServerSettings(given: Partial<NameServerSettings> = {}): NameServerSettings {
  const settings = {} as Record<string, boolean | number>
  for (const key of SETTING_KEYS) settings[key] = given[key] ?? NAME_SERVER_DEFAULTS[key]
  return settings as unknown as NameServerSettings
}

/**
 * Reads `key=value` lines as Java properties write them: `#` and `!` start a comment, `\` escapes,
 * blanks round the `=` do not count.
 * @throws LedgerError BAD_REQUEST when a line has no key or the text is too long.
 */
export function parseProperties(text: string): Map<string, string> {
  if (text.length > MAX_PROPERTIES_BYTES) {
    throw new LedgerError('BAD_REQUEST', `configuration text longer than ${MAX_PROPERTIES_BYTES}`)
  }
  const properties = new Map<string, string>()
  for (const rawLine of text.split(/\r\n|\r|\n/)) {
    const line = rawLine.trimStart()
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue
    const split = /^((?:\\.|[^=:\s\\])+)\s*[=:]?\s*(.*)$/.exec(line)
    if (split === null) throw new LedgerError('BAD_REQUEST', `not a key=value line: ${line}`)
    properties.set(unescapeProperty(split[1] ?? ''), unescapeProperty(split[2] ?? '').trimEnd())
  }
  return properties
}

function unescapeProperty(text: string): string {
  return text.replace(
    /\\(?:u([0-9a-fA-F]{4})|(.))/g,
    (_, hex: string | undefined, other: string) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
      return { n: '\n', t: '\t', r: '\r', f: '\f' }[other] ?? other
    },
  )
}

/** Writes `key=value` lines in the order of the keys, as code 319 answers them. */
export function formatProperties(properties: ReadonlyMap<string, string>): string {
  const keys = [...properties.keys()].sort()
  return keys.map((key) => `${key}=${properties.get(key)}\n`).join('')
}

/** What a change asks for, checked; `ignored` names keys that are kept but have no effect. */
export interface SettingsChange {
  settings: Partial<NameServerSettings>
  ignored: Map<string, string>
}

/**
 * Checks the changes of code 318 as a whole: either all of them can be applied or none is.
 * @throws LedgerError BAD_REQUEST for an unknown key or a malformed value.
 */
export function readSettingsChange(properties: ReadonlyMap<string, string>): SettingsChange {
  const change: SettingsChange = { settings: {}, ignored: new Map() }
  const settings = change.settings as Record<string, boolean | number>
  for (const [key, value] of properties) {
    const setting = SETTING_KEYS.find((known) => known === key)
    if (setting !== undefined) {
      settings[setting] = readValue(setting, value)
    } else if (NAME_SERVER_IGNORED_KEYS.includes(key)) {
      change.ignored.set(key, checkedText(key, value))
    } else if (FIXED_KEYS.includes(key)) {
      throw new LedgerError(
        'BAD_REQUEST',
        `${key} is read at start: set it in the file and restart`,
      )
    } else {
      throw new LedgerError('BAD_REQUEST', `unknown key ${key}`)
    }
  }
  return change
}

/** Text that is kept in the file must not be able to become another line there. */
function checkedText(key: string, value: string): string {
  if (/^[\x20-\x7e]*$/.test(value) && !value.includes('\\')) return value
  throw new LedgerError('BAD_REQUEST', `${key} must be plain text`)
}

function readValue(key: keyof NameServerSettings, value: string): boolean | number {
  if (typeof NAME_SERVER_DEFAULTS[key] === 'boolean') {
    if (value === 'true' || value === 'false') return value === 'true'
    throw new LedgerError('BAD_REQUEST', `${key} must be true or false, not ${value}`)
  }
  const number = Number(value)
  const lowest = key === 'scanNotActiveBrokerInterval' ? 10 : 0
  if (/^\d+$/.test(value) && number >= lowest && number <= 2_147_483_647) return number
  throw new LedgerError('BAD_REQUEST', `${key} must be a whole number of at least ${lowest}`)
}
