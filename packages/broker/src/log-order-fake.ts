/**
 * The ordering half of a core thread for tests: a real arena and entry writer, no disk, no peers.
 * What is sealed commits when the test says so.
 */
import { FakeClock } from '@ringledger/base'
import { EntryWriter } from '@ringledger/consensus'
import { decodeMessage, ENTRY_HEADER_BYTES, type StoredMessage } from '@ringledger/protocol'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import { LogOrder } from './log-order.ts'
import { PendingSends } from './pending-sends.ts'
import { TopicTable } from './topic-table.ts'

const SEGMENT_BYTES = 2 ** 30
const NO_LOG = { endPosition: 0, lastIndex: -1, lastTerm: -1, lastChainCrc: 0 }

export interface TestLog {
  readonly arena: LogArena
  readonly writer: EntryWriter
  readonly order: LogOrder
  stored(physicalOffset: number): StoredMessage
}

export function testLog(arenaBytes: number, pendingCapacity: number): TestLog {
  const arena = new LogArena(LogArena.allocate({ sizeBytes: arenaBytes, maxEntryBytes: 8192 }))
  arena.reset(0)
  const writer = new EntryWriter(arena, SEGMENT_BYTES, NO_LOG)
  const log = {
    claim: (bodyBytes: number) => writer.claim(bodyBytes),
    seal: () => writer.seal(1),
    takeBack: (end: typeof NO_LOG) => writer.takeBack(end),
    get end() {
      return writer.end
    },
    get claimedPosition() {
      return writer.claimedPosition
    },
    get endPosition() {
      return writer.endPosition
    },
    bytes: arena.bytes,
    view: arena.view,
  }
  const order = new LogOrder({
    headerBytes: ENTRY_HEADER_BYTES,
    log,
    topics: new TopicTable(),
    pending: new PendingSends(pendingCapacity),
    clock: new FakeClock(),
  })
  order.beginTurn()
  const stored = (physicalOffset: number): StoredMessage =>
    decodeMessage(
      arena.bytes,
      arena.offsetOf(physicalOffset - ENTRY_HEADER_BYTES) + ENTRY_HEADER_BYTES,
    )
  return { arena, writer, order, stored }
}
