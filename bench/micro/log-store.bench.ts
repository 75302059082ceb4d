/**
 * A group on its way to the disk: one write, one fdatasync, its index units. As in the IO thread,
 * the space in front of the log is zeroed between groups, which is not timed.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { EntryWriter } from '@ringledger/consensus'
import { type LogStore, openStore } from '@ringledger/io'
import { ENTRY_HEADER_BYTES } from '@ringledger/protocol'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import type { MicroBench, Operation } from '../micro-bench.ts'

const KIB = 1024
const SEGMENT_BYTES = 256 * KIB * KIB
const ZERO_AHEAD_BYTES = 4 * KIB * KIB
const ENTRY_BYTES = KIB
const TERM = 1

class GroupWriter {
  readonly store: LogStore
  readonly #arena: LogArena
  readonly #writer: EntryWriter

  constructor(rootDirectory: string) {
    const { store } = openStore({
      rootDirectory,
      selfId: 'n0',
      segmentBytes: SEGMENT_BYTES,
      zeroAheadBytes: ZERO_AHEAD_BYTES,
    })
    this.store = store
    this.#arena = new LogArena(
      LogArena.allocate({ sizeBytes: 8 * KIB * KIB, maxEntryBytes: 64 * KIB }),
    )
    this.#arena.reset(0)
    const end = { endPosition: 0, lastIndex: -1, lastTerm: -1, lastChainCrc: 0 }
    this.#writer = new EntryWriter(this.#arena, SEGMENT_BYTES, end)
  }

  get endPosition(): number {
    return this.#writer.endPosition
  }

  /** Entries of 1 KiB in the arena; the bodies are whatever lies there. */
  lay(groupBytes: number): void {
    for (let laid = 0; laid < groupBytes; laid += ENTRY_BYTES) {
      assert.ok(this.#writer.claim(ENTRY_BYTES - ENTRY_HEADER_BYTES) >= 0)
      this.#writer.seal(TERM)
    }
    this.#arena.appended = this.endPosition
  }

  zeroAhead(): void {
    const { zeroAhead, end } = this.store
    while (zeroAhead.due(end.position)) zeroAhead.step()
  }

  write(): void {
    this.store.append(this.#arena, this.endPosition)
    this.#arena.durable = this.endPosition
  }
}

function group(directory: string, groupBytes: number): { operation: Operation; close(): void } {
  const rootDirectory = join(directory, String(groupBytes))
  const writer = new GroupWriter(rootDirectory)
  const prepare = (): void => {
    writer.zeroAhead()
    writer.lay(groupBytes)
  }
  const operation: Operation = {
    name: `write + fdatasync, group of ${groupBytes / KIB} KiB`,
    batch: 1,
    bytes: groupBytes,
    prepare,
    run: () => writer.write(),
    check: () => {
      prepare()
      writer.write()
      assert.equal(writer.store.end.position, writer.endPosition)
    },
  }
  return { operation, close: () => reopen(writer, rootDirectory) }
}

/** What was written is found, checksums and all, by the recovery of a store that was killed. */
function reopen(writer: GroupWriter, rootDirectory: string): void {
  const { end } = writer.store
  writer.store.abandon()
  const { store, recovered } = openStore({
    rootDirectory,
    selfId: 'n0',
    segmentBytes: SEGMENT_BYTES,
  })
  assert.equal(recovered.tail.endPosition, end.position)
  assert.equal(recovered.lastChainCrc, end.chainCrc)
  assert.deepEqual(recovered.damage, [])
  store.abandon()
}

export const bench: MicroBench = {
  title: 'a group of entries to the disk: write, fdatasync, index units',
  open: (directory) => {
    const groups = [4, 32, 128].map((kib) => group(directory, kib * KIB))
    return {
      operations: groups.map(({ operation }) => operation),
      close: () => {
        for (const { close } of groups) close()
      },
    }
  },
}
