/**
 * The tables under `config/` in Apache's dialect of JSON, reduced to sorted lines that copies of a
 * group must share. What differs between equal copies by nature (versions, times) is left out.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseLenientJson } from '@ringledger/protocol'
import { compareText } from './message-tally.ts'
import type { ConfigFile } from './report.ts'

/** Table of each file that must be equal, and the fields of it that tell nothing. */
const TABLES: readonly { name: string; table: string }[] = [
  { name: 'topics.json', table: 'topicConfigTable' },
  { name: 'subscriptionGroup.json', table: 'subscriptionGroupTable' },
  { name: 'consumerOffset.json', table: 'offsetTable' },
  { name: 'delayOffset.json', table: 'offsetTable' },
]

export function readConfigTables(root: string): ConfigFile[] {
  return TABLES.map(({ name, table }) => readTable(join(root, 'config', name), name, table))
}

function readTable(path: string, name: string, table: string): ConfigFile {
  const main = tryRead(path, table)
  if (main !== undefined) return { name, state: 'present', entries: main }
  const backup = tryRead(`${path}.bak`, table)
  if (backup !== undefined) return { name, state: 'backup', entries: backup }
  const there = existsSync(path) || existsSync(`${path}.bak`)
  return { name, state: there ? 'unreadable' : 'absent', entries: [] }
}

/** Undefined when the file is missing, empty or no JSON: Apache takes the `.bak` then, too. */
function tryRead(path: string, table: string): string[] | undefined {
  if (!existsSync(path)) return undefined
  try {
    const parsed = parseLenientJson(readFileSync(path, 'utf8')) as Record<string, unknown>
    const entries = parsed[table]
    if (typeof entries !== 'object' || entries === null) return undefined
    return Object.entries(entries)
      .map(([key, value]) => `${key}=${canonical(value)}`)
      .sort(compareText)
  } catch {
    return undefined
  }
}

/** The same text for equal values, whatever order their keys were written in. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null)
    return typeof value === 'bigint' ? String(value) : JSON.stringify(value)
  const fields = Object.entries(value).sort(([left], [right]) => compareText(left, right))
  return `{${fields.map(([key, field]) => `${key}:${canonical(field)}`).join(',')}}`
}

export interface CommittedOffset {
  readonly topic: string
  readonly group: string
  readonly queueId: number
  readonly offset: number
}

/** `topic@group` and queue of every committed offset. */
export function committedOffsets(config: readonly ConfigFile[]): CommittedOffset[] {
  const offsets = config.find(({ name }) => name === 'consumerOffset.json')
  return (offsets?.entries ?? []).flatMap((entry) => {
    const split = entry.lastIndexOf('={')
    const [topic = '', group = ''] = entry.slice(0, split).split('@')
    return [...entry.slice(split + 1).matchAll(/(-?\d+):(-?\d+)/g)].map(([, queueId, offset]) => ({
      topic,
      group,
      queueId: Number(queueId),
      offset: Number(offset),
    }))
  })
}
