/** The shape of a command: data about its options and one function from an Admin to a View. */

import type { Admin } from './admin.ts'
import { UsageError } from './errors.ts'
import type { View } from './view.ts'

export interface OptionSpec {
  /** Letters and name as in Apache's mqadmin: `-t, --topic <topic>`. */
  readonly flags: string
  readonly description: string
  readonly required?: boolean
  /** Turns the text into the value. @throws UsageError */
  readonly parse?: (text: string) => unknown
}

export interface AdminCommand<Options = never> {
  readonly name: string
  readonly summary: string
  readonly options: readonly OptionSpec[]
  /** Shown at the end of `--help`. */
  readonly example: string
  run(admin: Admin, options: Options): Promise<View>
}

/** A whole number from `lowest` up. */
export function count(lowest: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value) && value >= lowest) return value
    throw new UsageError(`'${text}' is no whole number from ${lowest} up`)
  }
}

export function trueOrFalse(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  throw new UsageError(`'${text}' is neither true nor false`)
}

export function oneOf(...values: readonly string[]): (text: string) => string {
  return (text) => {
    if (values.includes(text)) return text
    throw new UsageError(`'${text}' is none of ${values.join(', ')}`)
  }
}

/** `-b` or `-c`: one of them, not both. @throws UsageError */
export function brokerOrCluster(options: { brokerAddr?: string; clusterName?: string }): void {
  if ((options.brokerAddr === undefined) === (options.clusterName === undefined)) {
    throw new UsageError('give either -b host:port (one broker) or -c cluster')
  }
}

/** Where something is changed, as `brokerOrCluster` wants it. */
export const ON_BROKERS: readonly OptionSpec[] = [
  { flags: '-b, --brokerAddr <address>', description: 'on one broker, host:port of its leader' },
  { flags: '-c, --clusterName <cluster>', description: 'on every broker of the cluster' },
]

export const OPTION: Record<'topic' | 'group', OptionSpec> = {
  topic: { flags: '-t, --topic <topic>', description: 'topic name', required: true },
  group: { flags: '-g, --groupName <group>', description: 'consumer group name', required: true },
}
