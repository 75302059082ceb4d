/**
 * What administrators see of the configuration (26) and what they may change while the broker runs
 * (25). Owns the rule that only keys which the broker thread alone uses can change: other threads
 * have their own copy. Changes last until the next start.
 */
import type { Clock } from '@ringledger/base'
import type { DataVersion } from '@ringledger/protocol'
import type { BrokerSettings } from './settings.ts'

type Kind = 'boolean' | 'count' | 'hours'

/** Key of broker.conf to the field of the settings. */
const CHANGEABLE: ReadonlyMap<string, readonly [field: keyof BrokerSettings, kind: Kind]> = new Map(
  [
    ['autoCreateTopicEnable', ['autoCreateTopicEnable', 'boolean']],
    ['autoCreateSubscriptionGroup', ['autoCreateSubscriptionGroup', 'boolean']],
    ['longPollingEnable', ['longPollingEnable', 'boolean']],
    ['shortPollingTimeMills', ['shortPollingTimeMills', 'count']],
    ['litePullMessageEnable', ['litePullMessageEnable', 'boolean']],
    ['channelExpiredTimeout', ['channelExpiredTimeoutMs', 'count']],
    ['maxTransferCountOnMessageInMemory', ['maxTransferCountOnMessageInMemory', 'count']],
    ['maxTransferBytesOnMessageInMemory', ['maxTransferBytesOnMessageInMemory', 'count']],
    ['fileReservedTime', ['fileReservedTime', 'count']],
    ['deleteWhen', ['deleteWhen', 'hours']],
    ['diskMaxUsedSpaceRatio', ['diskMaxUsedSpaceRatio', 'count']],
    ['cleanFileForciblyEnable', ['cleanFileForciblyEnable', 'boolean']],
    ['deleteCommitLogFilesInterval', ['deleteCommitLogFilesInterval', 'count']],
    ['deleteConsumeQueueFilesInterval', ['deleteConsumeQueueFilesInterval', 'count']],
    ['deleteFileBatchMax', ['deleteFileBatchMax', 'count']],
  ],
)

export class LiveSettings {
  readonly #settings: BrokerSettings
  readonly #clock: Clock
  readonly #changed = new Map<string, string>()
  #version: DataVersion

  constructor(settings: BrokerSettings, clock: Clock) {
    this.#settings = settings
    this.#clock = clock
    this.#version = { counter: 0, stateVersion: 0, timestamp: clock.wallMs() }
  }

  /** Grows with every change. */
  get version(): DataVersion {
    return this.#version
  }

  /** Every key with its value, in order of the keys. */
  entries(): [key: string, value: string][] {
    const all = new Map(Object.entries(this.#settings.configuration))
    for (const [key, [field]] of CHANGEABLE) all.set(key, String(this.#settings[field]))
    for (const [key, value] of this.#changed) all.set(key, value)
    return [...all].sort(([left], [right]) => (left < right ? -1 : 1))
  }

  /** Changes all or nothing. Returns why nothing was changed. */
  change(wanted: ReadonlyMap<string, string>): string | undefined {
    const current = new Map(this.entries())
    const changes = [...wanted].filter(([key, value]) => current.get(key) !== value)
    for (const [key, value] of changes) {
      const problem = problemOf(key, value)
      if (problem !== undefined) return problem
    }
    for (const [key, value] of changes) this.#set(key, value)
    if (changes.length > 0) {
      const { counter, stateVersion } = this.#version
      this.#version = { counter: counter + 1, stateVersion, timestamp: this.#clock.wallMs() }
    }
    return undefined
  }

  #set(key: string, text: string): void {
    const [field, kind] = CHANGEABLE.get(key) as readonly [keyof BrokerSettings, Kind]
    const fields = this.#settings as unknown as Record<string, unknown>
    if (kind === 'hours') fields[field] = text
    else fields[field] = kind === 'boolean' ? text === 'true' : Number(text)
    this.#changed.set(key, text)
  }
}

function problemOf(key: string, value: string): string | undefined {
  const rule = CHANGEABLE.get(key)
  if (rule === undefined) {
    const keys = [...CHANGEABLE.keys()].join(', ')
    return `${key} cannot be changed while the broker runs, set it in its file and restart; these can: ${keys}`
  }
  if (rule[1] === 'boolean') {
    return value === 'true' || value === 'false' ? undefined : `${key} is true or false`
  }
  if (rule[1] === 'hours') {
    return areHours(value) ? undefined : `${key} is hours of the day, 0 to 23, separated by ";"`
  }
  return /^\d{1,9}$/.test(value) && Number(value) > 0 ? undefined : `${key} is a positive number`
}

/** `04`, or `04;16`. */
export function areHours(text: string): boolean {
  return text.split(';').every((hour) => /^\d{1,2}$/.test(hour.trim()) && Number(hour) < 24)
}
