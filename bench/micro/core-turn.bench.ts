/**
 * The core thread's whole work for plain sends, without system calls: frames into the arena, a turn
 * of consensus with two followers, answers into the outbox. One over its figure is what a core
 * could do if sockets were free.
 */
import assert from 'node:assert/strict'
import { systemClock } from '@ringledger/base'
import {
  decodeCommand,
  ENTRY_HEADER_BYTES,
  nextFrame,
  sendExtConstants,
  UniqueIds,
} from '@ringledger/protocol'
import { Doorbell, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { BrokerLink } from '../../packages/broker/src/broker-link.ts'
import { LocalSubmit } from '../../packages/broker/src/local-submit.ts'
import { LogOrder } from '../../packages/broker/src/log-order.ts'
import { PendingSends } from '../../packages/broker/src/pending-sends.ts'
import { SendAnswers } from '../../packages/broker/src/send-answers.ts'
import { SendFront } from '../../packages/broker/src/send-front.ts'
import { SendResponder } from '../../packages/broker/src/send-responder.ts'
import { Taken } from '../../packages/broker/src/submit-port.ts'
import { TopicTable } from '../../packages/broker/src/topic-table.ts'
import type { Connection } from '../../packages/network/src/index.ts'
import type { MicroBench, Operation } from '../micro-bench.ts'
import { Leader } from './leader.ts'
import { HOST, QUEUES, sendFrame, TOPIC } from './sample-send.ts'

const BODY_BYTES = 1024
const RING_BYTES = 1 << 20
const PERM_READ_WRITE = 6
const BROKER_PROPERTIES = Buffer.from(
  'MSG_REGION\u0001DefaultRegion\u0002TRACE_ON\u0001true\u0002CLUSTER\u0001RaftCluster\u0002',
)

/** Takes answers like an outbox and forgets them at the turn's end. */
class FakeOutbox {
  readonly bytes: Buffer = Buffer.alloc(1 << 20)
  usedBytes = 0

  claim(_sizeBytes: number): number {
    return this.usedBytes
  }

  commit(sizeBytes: number): void {
    this.usedBytes += sizeBytes
  }
}

function coreThread(): { leader: Leader; front: SendFront; answers: SendAnswers } & {
  order: LogOrder
  connection: Connection
  outbox: FakeOutbox
} {
  const leader = new Leader()
  const outbox = new FakeOutbox()
  const connection = { id: 1, remoteHost: HOST, outbox } as unknown as Connection
  const pending = new PendingSends(32_768)
  const topics = new TopicTable()
  topics.put({
    topic: TOPIC,
    queueSlotBase: 0,
    queueCount: QUEUES,
    readQueueNums: QUEUES,
    writeQueueNums: QUEUES,
    perm: PERM_READ_WRITE,
    fast: true,
    nextOffsets: Array(QUEUES).fill(0),
  })
  const link = new BrokerLink({
    fromBroker: new SpscRing(SpscRing.allocate(RING_BYTES)),
    toBroker: new SpscRing(SpscRing.allocate(RING_BYTES)),
    brokerBell: new Doorbell(Doorbell.allocate()),
  })
  const order = new LogOrder({
    log: leader.replica,
    headerBytes: ENTRY_HEADER_BYTES,
    topics,
    pending,
    clock: systemClock,
  })
  const responder = new SendResponder(HOST, sendExtConstants('DefaultRegion', true))
  const connections = new Map([[1, connection]])
  const port = new LocalSubmit({ order, arena: leader.arena, responder, connections })
  const answers = new SendAnswers({ pending, link, owner: port })
  const front = new SendFront({
    port,
    topics,
    responder,
    uniqueIds: new UniqueIds(HOST.subarray(0, 4), process.pid),
    storeHost: HOST,
    maxMessageSize: 4 << 20,
    brokerPermission: PERM_READ_WRITE,
    brokerProperties: BROKER_PROPERTIES,
  })
  order.serving = true
  return { leader, order, front, answers, connection, outbox }
}

function sends(perTurn: number): Operation {
  const { leader, order, front, answers, connection, outbox } = coreThread()
  const frames = Array.from({ length: perTurn }, (_, at) => sendFrame(BODY_BYTES, at, at % QUEUES))
  const input = Buffer.concat(frames)
  const frameEnds = frames.map((_, at) => Buffer.concat(frames.slice(0, at + 1)).length)
  let forwarded = 0
  const turn = (): void => {
    outbox.usedBytes = 0
    order.beginTurn()
    let start = 0
    for (let at = 0; at < perTurn; at++) {
      const end = frameEnds[at]!
      if (front.take(connection, input, start, end) !== Taken.DONE) forwarded++
      start = end
    }
    leader.settle()
    answers.complete(leader.replica.committedPosition)
  }
  return {
    name: `send of 1 KiB to its answer, ${perTurn} a turn`,
    batch: 128,
    bytes: BODY_BYTES,
    run: (count) => {
      for (let done = 0; done < count; done += perTurn) turn()
    },
    check: () => {
      turn()
      assert.equal(forwarded, 0)
      assert.deepEqual(
        answersIn(outbox),
        frames.map((_, at) => ({ opaque: at, code: 0, queueId: String(at % QUEUES) })),
      )
    },
  }
}

function answersIn(outbox: FakeOutbox): { opaque: number; code: number; queueId: string }[] {
  const { bytes, usedBytes } = outbox
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const found: { opaque: number; code: number; queueId: string }[] = []
  for (let at = 0; at < usedBytes; ) {
    const frameBytes = nextFrame(view, at, usedBytes)
    assert.ok(frameBytes > 0)
    const { opaque, code, ext } = decodeCommand(bytes.subarray(at, at + frameBytes))
    found.push({ opaque, code, queueId: ext.queueId ?? '' })
    at += frameBytes
  }
  return found
}

export const bench: MicroBench = {
  title: 'what the core thread does for a plain send, without system calls',
  open: () => ({ operations: [sends(64), sends(1)] }),
}
