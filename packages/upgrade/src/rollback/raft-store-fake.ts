/**
 * Makes small stores of DLedger members for tests, with or without a plain part before the Raft
 * log, and the plain log that a rollback of them must give.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  blankNeeded,
  ENTRY_HEADER_BYTES,
  encodeMessage,
  fileNameOfOffset,
  type MessageInit,
  MessageSysFlag,
  messageParts,
  messageSize,
  SystemTopic,
  sealEntry,
  writeBlank,
  writeEntryHeader,
  writePlainLogBlank,
} from '@ringledger/protocol'
import { type FakeStore, layOut, writeStore } from '../store-maker-fake.ts'

export interface FakeEntry extends MessageInit {
  /** A record of ours in place of a message. */
  readonly record?: object
}

export interface FakeMember {
  readonly plain?: FakeStore
  readonly files: { readonly offset: number; readonly bytes: Buffer }[]
  readonly divided: number
  readonly entries: number
  /** Bytes of every message of the Raft part that is no record, as its entry has it. */
  readonly messages: Buffer[]
}

export interface FakeMemberOptions {
  readonly segmentBytes: number
  readonly plain?: FakeStore
  /** Where the Raft log begins; by default behind the plain part's last file, else 0. */
  readonly divided?: number
  /** Apache writes no checksums. */
  readonly sealed?: boolean
}

export function layOutMember(
  entries: readonly FakeEntry[],
  { segmentBytes, plain, divided = behind(plain, segmentBytes), sealed = true }: FakeMemberOptions,
): FakeMember {
  const files = [{ offset: divided, bytes: Buffer.alloc(segmentBytes) }]
  const messages: Buffer[] = []
  let at = 0
  let chainCrc = 0
  for (const [index, entry] of entries.entries()) {
    const size = messageSize(partsOf(entry, 0))
    const entryBytes = ENTRY_HEADER_BYTES + size
    let file = files.at(-1)!
    const blank = blankNeeded(at, entryBytes, segmentBytes)
    if (blank > 0) {
      writeBlank(file.bytes, viewOf(file.bytes), at, blank)
      file = { offset: file.offset + segmentBytes, bytes: Buffer.alloc(segmentBytes) }
      files.push(file)
      at = 0
    }
    const position = file.offset + at
    const view = viewOf(file.bytes)
    writeEntryHeader(view, at, { index, term: 1, position, bodyBytes: size })
    encodeMessage(
      file.bytes,
      at + ENTRY_HEADER_BYTES,
      partsOf(entry, position + ENTRY_HEADER_BYTES),
    )
    if (sealed) chainCrc = sealEntry(file.bytes, view, at, chainCrc)
    const start = at + ENTRY_HEADER_BYTES
    if (entry.record === undefined) messages.push(file.bytes.subarray(start, start + size))
    at += entryBytes
  }
  return {
    ...(plain === undefined ? {} : { plain }),
    files,
    divided,
    entries: entries.length,
    messages,
  }
}

export function writeMember(root: string, member: FakeMember): void {
  mkdirSync(root, { recursive: true })
  if (member.plain !== undefined) writeStore(root, member.plain)
  const directory = join(root, 'dledger-n0', 'data')
  mkdirSync(directory, { recursive: true })
  for (const { offset, bytes } of member.files) {
    writeFileSync(join(directory, fileNameOfOffset(offset)), bytes)
  }
  const last = member.entries - 1
  const text = `committedIndex=${last}\nendIndex=${last}\n`
  writeFileSync(join(root, 'dledger-n0', 'checkpoint'), text)
}

function partsOf(entry: FakeEntry, physicalOffset: number): ReturnType<typeof messageParts> {
  const { record, ...message } = entry
  if (record === undefined) return messageParts({ ...message, physicalOffset })
  return messageParts({
    topic: SystemTopic.STATE,
    body: JSON.stringify(record),
    sysFlag: MessageSysFlag.TRANSACTION_ROLLBACK_TYPE,
    storeTimestampMs: message.storeTimestampMs ?? 1,
    physicalOffset,
  })
}

function behind(plain: FakeStore | undefined, segmentBytes: number): number {
  const last = plain?.files.at(-1)
  return last === undefined ? 0 : last.offset + segmentBytes
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** A plain part that DLedger took over: Apache ends its last file with a blank. */
export function closedPlain(
  messages: Parameters<typeof layOut>[0],
  segmentBytes: number,
): FakeStore {
  const store = layOut(messages, segmentBytes)
  const file = store.files.at(-1)!
  const at = store.endOffset - file.offset
  writePlainLogBlank(file.bytes, at, segmentBytes - at)
  return store
}
