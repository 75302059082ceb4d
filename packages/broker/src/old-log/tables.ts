/**
 * What a group takes over besides messages: the tables that its members' brokers left, joined to
 * one and written as state records, so that they reach every member through the log.
 */
import { parseLenientJson } from '@ringledger/protocol'
import { isObject } from '../state/configs.ts'
import { MAX_OFFSETS_PER_RECORD, type StateRecord } from '../state/records.ts'
import { readTables, type TableContent } from '../state/state-files.ts'
import type { Tables } from './copy.ts'

/**
 * `members`: texts of table files by name. Of a topic or group the newest file's word counts; a
 * consumer group goes on at the furthest offset that a member knows. @throws LedgerError CORRUPT
 * when a table cannot be read
 */
export function recordsOf(members: readonly Tables[]): StateRecord[] {
  const contents = members.map(readMember)
  const offsets = furthest(contents.flatMap((content) => content.offsets))
  const delayOffsets = new Map<number, number>()
  for (const [level, offset] of contents.flatMap((content) => content.delayOffsets)) {
    delayOffsets.set(level, Math.max(offset, delayOffsets.get(level) ?? 0))
  }
  const topics = new Map(
    newestLast(contents, 'topicsVersion').flatMap(({ topics: all }) =>
      all.map((config) => [config.topicName, config] as const),
    ),
  )
  const groups = new Map(
    newestLast(contents, 'groupsVersion').flatMap(({ groups: all }) =>
      all.map((config) => [config.groupName, config] as const),
    ),
  )
  return [
    { kind: 'takeOver', step: 'begin' },
    ...[...topics.values()].map((config) => ({ kind: 'topic', config }) as const),
    ...[...groups.values()].map((config) => ({ kind: 'group', config }) as const),
    ...chunks(offsets).map((entries) => ({ kind: 'offsets', entries }) as const),
    { kind: 'delay', entries: [...delayOffsets] },
    { kind: 'takeOver', step: 'end' },
  ]
}

function readMember(texts: Tables): TableContent {
  return readTables((name) => {
    const text = texts[name]
    if (text === undefined) return undefined
    const value = parseLenientJson(text)
    return isObject(value) ? value : undefined
  })
}

type OffsetEntry = TableContent['offsets'][number]

function furthest(entries: readonly OffsetEntry[]): OffsetEntry[] {
  const best = new Map<string, OffsetEntry>()
  for (const entry of entries) {
    const [topic, group, queueId, offset] = entry
    const key = `${topic}@${group}@${queueId}`
    const known = best.get(key)
    if (known === undefined || known[3] < offset) best.set(key, entry)
  }
  return [...best.values()]
}

function newestLast(
  contents: readonly TableContent[],
  name: 'topicsVersion' | 'groupsVersion',
): TableContent[] {
  return [...contents].sort(
    (left, right) =>
      left[name].stateVersion - right[name].stateVersion ||
      left[name].timestamp - right[name].timestamp ||
      left[name].counter - right[name].counter,
  )
}

function chunks(entries: readonly OffsetEntry[]): OffsetEntry[][] {
  const found: OffsetEntry[][] = []
  for (let at = 0; at < entries.length; at += MAX_OFFSETS_PER_RECORD) {
    found.push(entries.slice(at, at + MAX_OFFSETS_PER_RECORD))
  }
  return found
}
