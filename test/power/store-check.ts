/**
 * Looks at the stores of a stopped group: recovers each, then walks its log files from the first
 * byte with the checksums of every entry and the chain over all of them, and compares the logs with
 * each other and with what a load was promised. Shares no code with recovery but the format.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { NodeDisk, openStore, storeLayout } from '@ringledger/io'
import {
  BLANK_HEADER_BYTES,
  checkEntry,
  decodeMessage,
  ENTRY_HEADER_BYTES,
  entryChainCrc,
  entryIndex,
  entrySize,
} from '@ringledger/protocol'
import { type PromiseBook, sequenceOf } from './promise-book.ts'
import { Findings } from './read-check.ts'

export interface StoppedNode {
  readonly id: string
  /** `storePathRootDir` */
  readonly rootDirectory: string
}

interface WalkedLog {
  readonly id: string
  /** Behind the last entry. */
  readonly endPosition: number
  readonly committedPosition: number
  /** By index. */
  readonly chainCrcs: readonly number[]
  /** Ends of entries, by index. */
  readonly ends: readonly number[]
}

/** An acknowledged message is at least on so many of three nodes. */
const MAJORITY = 2

/** @throws LedgerError when a store does not open. */
export function checkStores(
  nodes: readonly StoppedNode[],
  segmentBytes: number,
  book: PromiseBook,
): Findings {
  const findings = new Findings()
  const copies = new Map<number, number>()
  const logs = nodes.map((node) => walk(node, segmentBytes, book, copies, findings))
  let lastPromised = 0
  for (const queue of book.queues) {
    for (const { sequence, position } of queue.values()) {
      findings.checked++
      lastPromised = Math.max(lastPromised, position)
      const count = copies.get(position) ?? 0
      if (count < MAJORITY) {
        findings.note('lost', `${sequence} at ${position} is in ${count} of ${nodes.length} stores`)
      }
    }
  }
  const committed = Math.max(lastPromised, ...logs.map((log) => log.committedPosition))
  for (const log of logs.slice(1)) compare(logs[0] as WalkedLog, log, committed, findings)
  return findings
}

function walk(
  { id, rootDirectory }: StoppedNode,
  segmentBytes: number,
  book: PromiseBook,
  copies: Map<number, number>,
  findings: Findings,
): WalkedLog {
  const config = { rootDirectory, selfId: id, segmentBytes }
  const { store, recovered } = openStore(config, new NodeDisk())
  store.abandon()
  const { dataDirectory } = storeLayout(config)
  const chainCrcs: number[] = []
  const ends: number[] = []
  let chainCrc = 0
  let position = 0
  for (const name of readdirSync(dataDirectory).sort()) {
    const bytes = readFileSync(join(dataDirectory, name))
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let at = position % segmentBytes; at + BLANK_HEADER_BYTES <= bytes.length; ) {
      const expected = { position, index: chainCrcs.length, previousChainCrc: chainCrc }
      const found = checkEntry(bytes, view, at, bytes.length - at, expected)
      if (found === 'unused') break
      if (found !== 'ok' && found !== 'blank') {
        findings.note('changed', `${id} ${name} at ${at}: entry ${expected.index}: ${found}`)
        break
      }
      const sizeBytes = entrySize(view, at)
      if (found === 'ok') {
        noteMessage(bytes, at, position, book, copies)
        chainCrc = entryChainCrc(view, at)
        chainCrcs[entryIndex(view, at)] = chainCrc
        ends.push(position + sizeBytes)
      }
      at += sizeBytes
      position += sizeBytes
    }
  }
  const endPosition = ends.at(-1) ?? 0
  if (endPosition !== recovered.tail.endPosition) {
    const { endPosition: known } = recovered.tail
    findings.note('other', `${id} was recovered up to ${known}, its files end at ${endPosition}`)
  }
  return { id, endPosition, committedPosition: recovered.committedPosition, chainCrcs, ends }
}

/** Counts a copy of a message of this load that is whole. */
function noteMessage(
  bytes: Buffer,
  at: number,
  position: number,
  book: PromiseBook,
  copies: Map<number, number>,
): void {
  const message = decodeMessage(bytes, at + ENTRY_HEADER_BYTES)
  if (message.topic !== book.topic) return
  const sequence = sequenceOf(book.run, message)
  const messageAt = position + ENTRY_HEADER_BYTES
  const promised = book.queues[message.queueId]?.get(message.queueOffset)
  if (promised?.sequence !== sequence || promised?.position !== messageAt) return
  copies.set(messageAt, (copies.get(messageAt) ?? 0) + 1)
}

/** Equal chains mean equal histories; beyond what is committed they may part. */
function compare(a: WalkedLog, b: WalkedLog, committed: number, findings: Findings): void {
  const common = Math.min(a.chainCrcs.length, b.chainCrcs.length)
  for (let index = 0; index < common; index++) {
    if (a.chainCrcs[index] === b.chainCrcs[index]) continue
    const position = index === 0 ? 0 : (a.ends[index - 1] ?? 0)
    if (position >= committed) return
    findings.note('changed', `${a.id} and ${b.id} differ at entry ${index}, position ${position}`)
    return
  }
}
