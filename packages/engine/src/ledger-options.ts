/** Options of `openLedger` as settings of the parts, with defaults filled in and checked. */
import { LedgerError } from '@ringledger/base'
import { CHANNEL_BARRIER } from '@ringledger/protocol'
import type { LedgerOptions } from './ledger.ts'
import type { LedgerSettings } from './settings.ts'

const KIB = 1024
const MIB: number = KIB * KIB
const PAGE_BYTES: number = 4 * KIB
const MIN_SEGMENT_BYTES: number = 4 * KIB
const MAX_SEGMENT_BYTES: number = 2 * KIB * MIB - PAGE_BYTES
const MIN_ENTRY_BYTES = 64
/** A batch, of twice the ring's smallest frame, must not fill the room for what is uncommitted. */
const MIN_ARENA_BYTES: number = 8 * MIB
const ARENA_ENTRIES = 8
const MIN_ELECTION_MS = 200
const MAX_TIME_MS = 3_600_000

/** @throws LedgerError BAD_CONFIG naming the option */
export function settingsOf(options: LedgerOptions): LedgerSettings {
  const { members = [], selfId = 'n0', group = 'ledger', directory } = options
  if (typeof directory !== 'string' || directory === '') refuse('directory is missing')
  if (group === '') refuse('group must not be empty')
  if (!/^[A-Za-z0-9_]{1,64}$/.test(selfId)) {
    refuse(`selfId "${selfId}" must be letters, digits and _, at most 64`)
  }
  const self = members.find((member) => member.id === selfId)
  checkMembers(options, self !== undefined)
  const maxEntryBytes = options.maxEntryBytes ?? MIB
  const segmentBytes = options.segmentBytes ?? 64 * MIB
  const electionTimeoutMs = options.electionTimeoutMs ?? 600
  const heartbeatIntervalMs = options.heartbeatIntervalMs ?? Math.min(100, electionTimeoutMs / 2)
  requireWhole('segmentBytes', segmentBytes, MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES)
  requireWhole('maxEntryBytes', maxEntryBytes, MIN_ENTRY_BYTES, MAX_SEGMENT_BYTES)
  requireWhole('electionTimeoutMs', electionTimeoutMs, MIN_ELECTION_MS, MAX_TIME_MS)
  const arenaBytes = arenaBytesOf(options, maxEntryBytes)
  if (!(heartbeatIntervalMs >= 1) || heartbeatIntervalMs > electionTimeoutMs / 2) {
    refuse(`heartbeatIntervalMs must be from 1 to half of electionTimeoutMs (${electionTimeoutMs})`)
  }
  if (options.durability !== undefined && !['sync', 'memory'].includes(options.durability)) {
    refuse(`durability must be "sync" or "memory", not "${options.durability}"`)
  }
  const { preferredLeaderId, minimumFreeBytes } = options
  return {
    group,
    selfId,
    members,
    bindAddress: options.bindAddress ?? self?.host ?? '127.0.0.1',
    electionTimeoutMs,
    heartbeatIntervalMs,
    segmentBytes,
    syncBeforeAck: options.durability !== 'memory',
    arenaBytes,
    maxEntryBytes: Math.min(maxEntryBytes, segmentBytes - 8),
    barrierChannel: CHANNEL_BARRIER,
    ...(preferredLeaderId === undefined ? {} : { preferredLeaderId }),
    store: {
      rootDirectory: directory,
      selfId,
      segmentBytes,
      ...(minimumFreeBytes === undefined ? {} : { minimumFreeBytes }),
    },
  }
}

function checkMembers(
  { members = [], preferredLeaderId, ...options }: LedgerOptions,
  has: boolean,
) {
  if (members.length === 0) {
    if (preferredLeaderId !== undefined && preferredLeaderId !== (options.selfId ?? 'n0')) {
      refuse(`preferredLeaderId "${preferredLeaderId}" is no member`)
    }
    return
  }
  if (!has) refuse(`selfId "${options.selfId ?? 'n0'}" is not among the members`)
  for (const { id, host, port } of members) {
    if (!/^[A-Za-z0-9_]{1,64}$/.test(id)) refuse(`member id "${id}" must be letters, digits and _`)
    if (host === '') refuse(`member ${id} has no host`)
    requireWhole(`port of member ${id}`, port, 1, 65_535)
  }
  if (new Set(members.map(({ id }) => id)).size !== members.length) {
    refuse('the ids of the members must differ')
  }
  if (preferredLeaderId !== undefined && !members.some(({ id }) => id === preferredLeaderId)) {
    refuse(`preferredLeaderId "${preferredLeaderId}" is no member`)
  }
}

function arenaBytesOf(options: LedgerOptions, maxEntryBytes: number): number {
  const asked = options.arenaBytes ?? 32 * MIB
  requireWhole('arenaBytes', asked, PAGE_BYTES, 4 * KIB * MIB)
  const needed = Math.max(asked, MIN_ARENA_BYTES, ARENA_ENTRIES * (maxEntryBytes + PAGE_BYTES))
  return Math.ceil(needed / PAGE_BYTES) * PAGE_BYTES
}

function requireWhole(name: string, value: number, low: number, high: number): void {
  if (Number.isSafeInteger(value) && value >= low && value <= high) return
  refuse(`${name} must be a whole number from ${low} to ${high}, not ${value}`)
}

function refuse(reason: string): never {
  throw new LedgerError('BAD_CONFIG', reason)
}
