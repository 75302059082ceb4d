/** The core and IO halves of a plain log on one thread, for tests: messages in, files out. */
import { assert } from '@ringledger/base'
import type { Disk } from '@ringledger/io'
import { encodeMessage, messageParts, messageSize, patchMessage } from '@ringledger/protocol'
import { Doorbell, LogArena, type LogArenaShared } from 'sharedarraybuffer-ringbuffer'
import { PlainCore } from './plain-core.ts'
import { PlainIoAgent, type PlainIoConfig } from './plain-io-agent.ts'
import { type PlainIoShared, PlainIoWords } from './plain-io-shared.ts'

export const FILE_BYTES = 8192
const ARENA_BYTES = 65_536
const MAX_MESSAGE_BYTES = 4096

export interface PlainWriterOptions {
  readonly disk: Disk
  readonly directories: string
  readonly syncBeforeAck?: boolean
  readonly minimumFreeBytes?: number
  readonly endPosition?: number
}

export class PlainWriter {
  readonly core: PlainCore
  readonly io: PlainIoAgent
  readonly arena: LogArena
  /** What the core thread was told. */
  readonly told: string[] = []
  nowMs = 0
  #sent = 0

  constructor(options: PlainWriterOptions) {
    const { disk, directories, syncBeforeAck = true, minimumFreeBytes = 0 } = options
    const { endPosition = 0 } = options
    const shared: LogArenaShared = LogArena.allocate({
      sizeBytes: ARENA_BYTES,
      maxEntryBytes: MAX_MESSAGE_BYTES,
    })
    const io: PlainIoShared = PlainIoWords.allocate()
    const config: PlainIoConfig = {
      directories,
      fileBytes: FILE_BYTES,
      syncBeforeAck,
      minimumFreeBytes,
      fullAboveRatio: 1,
      fullUntilRatio: 1,
    }
    this.core = new PlainCore({
      selfId: 'n0',
      fileBytes: FILE_BYTES,
      syncBeforeAck,
      arena: shared,
      io,
      endPosition,
      hooks: {
        touch: () => {},
        onRole: (...role) => this.told.push(role.join(' ')),
        onCommit: () => {},
        onDiskFull: (full) => this.told.push(full ? 'full' : 'not full'),
        onTransferred: (done) => this.told.push(`transferred ${done}`),
        log: () => {},
      },
    })
    this.io = new PlainIoAgent({
      config,
      disk,
      arena: shared,
      io,
      coreBell: Doorbell.allocate(),
      endPosition,
      nowMs: () => this.nowMs,
    })
    this.arena = this.core.arena
  }

  /** Its physical offset, or the refusal. */
  append(bodyBytes: number, preparedTransactionOffset = 0): number {
    const number = this.#sent++
    const parts = messageParts({
      topic: 'T',
      queueId: 0,
      queueOffset: number,
      body: Buffer.alloc(bodyBytes, number),
      bornTimestampMs: 1_000_000,
      storeTimestampMs: 1_000_000,
      properties: `KEYS\u0001key-${number}`,
      preparedTransactionOffset,
    })
    const { replica } = this.core
    const sizeBytes = messageSize(parts)
    const offset = replica.claim(sizeBytes)
    if (offset < 0) return offset
    const position = replica.claimedPosition
    const written = encodeMessage(replica.bytes, offset, parts)
    assert(written === sizeBytes, 'a message is as long as was claimed')
    patchMessage(replica.view, offset, number, position, 1_000_000 + number)
    replica.seal()
    return position
  }

  /** As if so many messages had been written before. */
  skip(count: number): void {
    this.#sent = count
  }

  /** A turn of the core thread. */
  turn(): void {
    this.core.pollStorage()
    this.core.endTurn()
  }
}
