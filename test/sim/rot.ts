/**
 * Rot: single bits that flip on a node's disk. Owns the choice of the place: an entry or an index
 * unit of which a start can still tell that it was durable, or a copy of term, vote or mark.
 */
import { type Random, randomBetween } from '@ringledger/base'
import { sequenceOfSlot } from '@ringledger/io'
import { ENTRY_HEADER_BYTES, INDEX_UNIT_BYTES } from '@ringledger/protocol'
import type { Machine } from './machine.ts'

/** Bytes of a slot that hold something. */
const SLOT_BYTES = 48
const SLOT_DISTANCE = 4096

/** Flips one bit; false when there is no place for it now. */
export function rot(machine: Machine, random: Random): boolean {
  const dice = random()
  if (dice < 0.6) return rotEntry(machine, random)
  if (dice < 0.8) return rotIndex(machine, random)
  return rotSlot(machine, random)
}

/** An entry whose index unit is synced: behind it nothing proves that a torn tail was durable. */
function provenIndex(machine: Machine, random: Random): number {
  const { process, log } = machine
  if (process === undefined) return -1
  const end = process.store.end.position - process.store.unsyncedIndexBytes
  let last = log.last
  while (last >= 0 && log.endOf(last) > end) last--
  const first = machine.firstIndex
  return last < first ? -1 : randomBetween(random, first, last + 1)
}

function rotEntry(machine: Machine, random: Random): boolean {
  const index = provenIndex(machine, random)
  if (index < 0) return false
  const end = machine.log.endOf(index)
  const start = Math.max(machine.log.endOf(index - 1), end - ENTRY_HEADER_BYTES - 200)
  const position = randomBetween(random, start, end)
  const { segmentBytes } = machine.settings
  const base = position - (position % segmentBytes)
  if (!flip(machine, `data/${fileName(base)}`, position - base, random)) return false
  machine.flips++
  return true
}

function rotIndex(machine: Machine, random: Random): boolean {
  const index = provenIndex(machine, random)
  if (index < 0) return false
  const { indexSegmentBytes } = machine.settings
  const position = index * INDEX_UNIT_BYTES + randomBetween(random, 0, INDEX_UNIT_BYTES)
  const base = position - (position % indexSegmentBytes)
  if (!flip(machine, `index/${fileName(base)}`, position - base, random)) return false
  machine.flips++
  return true
}

/** One copy of two: the other one must do, so power must not have torn it. */
function rotSlot(machine: Machine, random: Random): boolean {
  if (machine.slotRotten) return false
  const name = random() < 0.5 ? 'ringledger-hardstate' : 'ringledger-durable'
  const slot = randomBetween(random, 0, 2)
  const at = slot * SLOT_DISTANCE + randomBetween(random, 0, SLOT_BYTES)
  if (isTorn(machine, name)) return false
  if (!flip(machine, name, at, random)) return false
  machine.slotRotten = true
  return true
}

function isTorn({ storeConfig, name: id, disk }: Machine, name: string): boolean {
  const path = `${storeConfig.rootDirectory}/dledger-${id}/${name}`
  if (!disk.exists(path)) return false
  const content = disk.content(path)
  const slots = [0, SLOT_DISTANCE].map((at) => content.subarray(at, at + SLOT_DISTANCE))
  return slots.some((slot) => sequenceOfSlot(slot) === 0)
}

function flip(machine: Machine, name: string, position: number, random: Random): boolean {
  const path = `${machine.storeConfig.rootDirectory}/dledger-${machine.name}/${name}`
  if (!machine.disk.exists(path)) return false
  if (position >= machine.disk.content(path).length) return false
  machine.disk.flipBit(path, position, randomBetween(random, 0, 8))
  const { trace } = machine.world
  trace.print && trace.line(machine.number, `a bit flips in ${name} at ${position}`)
  return true
}

function fileName(position: number): string {
  return String(position).padStart(20, '0')
}
