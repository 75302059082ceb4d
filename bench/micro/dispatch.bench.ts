/**
 * What a committed message costs the broker thread: its unit in the consume queue alone, and the
 * whole dispatch from the arena with tag and two keys.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { EntryWriter } from '@ringledger/consensus'
import { encodeMessage, messageSize } from '@ringledger/protocol'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import { ConsumeQueues } from '../../packages/broker/src/store/consume-queues.ts'
import { Dispatcher } from '../../packages/broker/src/store/dispatcher.ts'
import { KeyIndex } from '../../packages/broker/src/store/key-index.ts'
import type { MicroBench, Operation } from '../micro-bench.ts'
import { QUEUES, storedParts, TOPIC } from './sample-send.ts'

const SEGMENT_BYTES = 2 ** 40
const BODY_BYTES = 1024
const MESSAGES_PER_SAMPLE = 256
const ARENA_BYTES = 16 << 20
const FIRST_UNIQUE_DIGIT = 'UNIQ_KEY\u0001'.length + 24

function appendUnits(directory: string): { operation: Operation; queues: ConsumeQueues } {
  const queues = new ConsumeQueues({ directory: join(directory, 'alone') })
  const queue = queues.obtain(TOPIC, 0)
  const sizeBytes = 1200
  const run = (count: number): void => {
    for (let index = 0; index < count; index++) {
      const offset = queue.maxOffset
      queue.append(offset, offset * sizeBytes, sizeBytes, offset)
    }
  }
  const operation: Operation = {
    name: 'consume queue: append a unit',
    batch: 2048,
    bytes: 20,
    run,
    check: () => {
      run(1)
      const last = queue.maxOffset - 1
      let seen = -1
      queue.read(last, 1, (offset, position) => {
        seen = position
        return offset === last
      })
      assert.equal(seen, last * sizeBytes)
    },
  }
  return { operation, queues }
}

/** The committed log of a leader, as far as dispatch looks at it. */
class CommittedLog {
  readonly arena: LogArena
  readonly #writer: EntryWriter
  readonly #parts = storedParts(BODY_BYTES)
  readonly messageBytes: number = messageSize(this.#parts)
  messages = 0

  constructor() {
    this.arena = new LogArena(
      LogArena.allocate({ sizeBytes: ARENA_BYTES, maxEntryBytes: 64 * 1024 }),
    )
    this.arena.reset(0)
    const end = { endPosition: 0, lastIndex: -1, lastTerm: -1, lastChainCrc: 0 }
    this.#writer = new EntryWriter(this.arena, SEGMENT_BYTES, end)
  }

  /** Round robin over the queues, each message with a unique key of its own. */
  commit(count: number): void {
    const parts = this.#parts
    for (let index = 0; index < count; index++) {
      const offset = this.#writer.claim(this.messageBytes)
      assert.ok(offset >= 0)
      parts.queueId = this.messages % QUEUES
      parts.queueOffset = Math.floor(this.messages / QUEUES)
      parts.physicalOffset = this.#writer.claimedPosition + 48
      parts.properties.write(this.messages.toString(16).padStart(8, '0'), FIRST_UNIQUE_DIGIT)
      encodeMessage(this.arena.bytes, offset, parts)
      this.#writer.seal(1)
      this.messages++
    }
    const end = this.#writer.endPosition
    this.arena.appended = end
    this.arena.durable = end
    this.arena.committed = end
  }
}

interface DispatchBench {
  readonly operation: Operation
  readonly queues: ConsumeQueues
  readonly index: KeyIndex
}

function dispatch(directory: string): DispatchBench {
  const log = new CommittedLog()
  const queues = new ConsumeQueues({ directory: join(directory, 'consumequeue') })
  const index = new KeyIndex({ directory: join(directory, 'index') })
  const dispatcher = new Dispatcher({
    arena: log.arena,
    files: { read: () => assert.fail('the arena has everything') },
    queues,
    index,
    listener: {
      onMessage: () => assert.fail('nobody waits'),
      onState: () => assert.fail('there are no state records'),
      onDelayMark: () => assert.fail('there are no delayed messages'),
    },
    delayLevelsMs: [],
    position: 0,
  })
  const operation: Operation = {
    name: 'dispatch: message of 1 KiB, 2 keys',
    batch: MESSAGES_PER_SAMPLE,
    bytes: log.messageBytes,
    prepare: () => log.commit(MESSAGES_PER_SAMPLE),
    run: (count) => dispatcher.duty(count),
    check: () => {
      const queueId = log.messages % QUEUES
      log.commit(1)
      dispatcher.duty(MESSAGES_PER_SAMPLE)
      assert.equal(dispatcher.position, log.arena.committed)
      let units = 0
      queues.forEachQueue((queue) => {
        units += queue.maxOffset
      })
      assert.equal(units, log.messages)
      assert.equal(queues.maxOffset(TOPIC, queueId), Math.ceil(log.messages / QUEUES))
    },
  }
  return { operation, queues, index }
}

export const bench: MicroBench = {
  title: 'consume queue and key index of a committed message',
  open: (directory) => {
    const alone = appendUnits(directory)
    const whole = dispatch(directory)
    return {
      operations: [alone.operation, whole.operation],
      close: () => {
        alone.queues.close()
        whole.queues.close()
        whole.index.close()
      },
    }
  },
}
