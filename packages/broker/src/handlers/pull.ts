/**
 * Pulls (11, 361): reads messages, or holds the request until there are some (rocketmq-remoting.md
 * §5.4). Found messages go from the log straight into the answer's place in the ring. Served by
 * every node; only a leader that serves says that an offset is wrong, others send the consumer to
 * it.
 */
import {
  ByteRange,
  MessageSysFlag,
  msgQueueId,
  msgQueueOffset,
  msgQueueOffsets,
  msgSysFlag,
  msgTopicRange,
  PullSysFlag,
  ResponseCode,
} from '@ringledger/protocol'
import { BodyAnswer } from '../answer-frames.ts'
import type { BrokerContext, Handler } from '../context.ts'
import { isLightTopic, topicToRead } from '../light-topics.ts'
import type { Answer, BrokerRequest, Ticket } from '../request.ts'
import type { GroupConfig, TopicConfig } from '../state/configs.ts'
import { failureAnswer } from './failures.ts'
import { type CheckedPull, checkPull, PullForbidden, topicMissing } from './pull-request.ts'
import { type PullLimits, PullScan } from './pull-scan.ts'

/**
 * To a pull that would wait while the node stops. The Java client 4.9 forgets what waits on a
 * connection that is closed in order, and looks again only after 30 s; after this it asks again in
 * 3 s, wherever the leader is by then.
 */
const STOPPING = 'this node stops, ask the leader'

/** No client waits longer for a pull. */
const MAX_HOLD_MS = 120_000

export const handlePull: Handler = (request, context) => {
  let checked: CheckedPull
  try {
    checked = checkPull(request, context)
  } catch (error) {
    if (!(error instanceof PullForbidden)) throw error
    return {
      code: error.code,
      remark: error.message,
      ext: { forbiddenType: String(error.forbiddenType) },
    }
  }
  commitOffset(checked, context)
  return answerPull(checked, request.ticket, context, mayHold(checked, request))
}

function mayHold({ pull }: CheckedPull, { ticket }: BrokerRequest): boolean {
  return !ticket.oneWay && (pull.sysFlag & PullSysFlag.SUSPEND) !== 0 && pull.suspendTimeoutMs > 0
}

/**
 * The commit that some clients send along; counts on the leader, and never for a held pull's second
 * run.
 */
function commitOffset({ pull }: CheckedPull, context: BrokerContext): void {
  if ((pull.sysFlag & PullSysFlag.COMMIT_OFFSET) === 0 || pull.commitOffset < 0) return
  if (!context.role.serving) return
  const nowMs = context.clock.monotonicMs()
  context.offsets.update(pull.topic, pull.group, pull.queueId, pull.commitOffset, nowMs)
}

const scan = new PullScan()

function answerPull(
  checked: CheckedPull,
  ticket: Ticket,
  context: BrokerContext,
  hold: boolean,
): Answer | undefined {
  const { pull } = checked
  const resetTo = context.offsets.takeReset(pull.topic, pull.group, pull.queueId)
  const queue = context.store.queues.find(pull.topic, pull.queueId)
  scan.run(queue, pull.queueOffset, checked.subscription, limitsOf(checked, context))
  if (resetTo !== undefined) {
    return pullAnswer(checked, ResponseCode.PULL_OFFSET_MOVED, 'OFFSET_RESET', resetTo)
  }
  if (scan.code === ResponseCode.SUCCESS) return sendFound(checked, ticket, context)
  if (scan.damagedOffset >= 0) return damagedAnswer(checked, scan.damagedOffset, context)
  if (scan.code === ResponseCode.PULL_OFFSET_MOVED && !context.role.serving) {
    return pullAnswer(checked, ResponseCode.PULL_RETRY_IMMEDIATELY, scan.remark, pull.queueOffset)
  }
  if (hold && scan.code === ResponseCode.PULL_NOT_FOUND) {
    if (context.held.stopped) {
      return { code: ResponseCode.SERVICE_NOT_AVAILABLE, remark: STOPPING }
    }
    if (holdPull(checked, ticket, context)) return undefined
  }
  return pullAnswer(checked, scan.code, scan.remark, scan.nextBeginOffset)
}

function limitsOf({ pull }: CheckedPull, { settings }: BrokerContext): PullLimits {
  return {
    maxMessages: Math.min(pull.maxMessages, settings.maxTransferCountOnMessageInMemory),
    maxBytes: Math.min(pull.maxBytes, settings.maxTransferBytesOnMessageInMemory),
  }
}

/** True: the answer comes later. */
function holdPull(checked: CheckedPull, ticket: Ticket, context: BrokerContext): boolean {
  const { pull, subscription } = checked
  const { longPollingEnable, shortPollingTimeMills } = context.settings
  const holdMs = longPollingEnable ? pull.suspendTimeoutMs : shortPollingTimeMills
  return context.held.hold({
    ticket,
    queue: context.store.queues.obtain(pull.topic, pull.queueId),
    queueOffset: pull.queueOffset,
    subscription,
    deadlineMs: context.clock.monotonicMs() + Math.min(holdMs, MAX_HOLD_MS),
    heapIndex: -1,
    resume: () => resumePull(checked, ticket, context),
  })
}

function resumePull(checked: CheckedPull, ticket: Ticket, context: BrokerContext): void {
  let answer: Answer | undefined
  try {
    const known = topicToRead(context, checked.pull.topic)
    if (known === undefined) throw topicMissing(checked.pull.topic)
    answer = answerPull({ ...checked, topic: known }, ticket, context, context.held.stopped)
  } catch (error) {
    answer = failureAnswer(context, error)
  }
  if (answer !== undefined) context.answer(ticket, answer)
}

function sendFound(checked: CheckedPull, ticket: Ticket, context: BrokerContext): undefined {
  const { pull } = checked
  const announced = pullAnswer(checked, scan.code, scan.remark, scan.nextBeginOffset)
  if (ticket.oneWay) return
  readAhead(context)
  const answer = new BodyAnswer(context.port, ticket, announced, scan.totalBytes)
  let bodyBytes = 0
  for (let at = 0; at < scan.count; at++) {
    const sizeBytes = scan.sizesBytes[at] as number
    const target = answer.bodyOffset + bodyBytes
    const physicalOffset = scan.physicalOffsets[at] as number
    const isThere =
      readInto(physicalOffset, sizeBytes, answer.bytes, target, context) &&
      isOfQueue(answer.bytes, target, pull, scan.queueOffsets[at] as number)
    if (!isThere) {
      answer.commitShortened(shortenedAnswer(checked, at, context), bodyBytes)
      context.stats.pulled(pull.topic, pull.group, at, bodyBytes)
      return
    }
    bodyBytes += sizeBytes
    const units = scan.units[at] as number
    if (units > 1 && !isBatchOf(answer.bytes, target, scan.queueOffsets[at] as number, units)) {
      const next = (scan.queueOffsets[at] as number) + 1
      answer.commitShortened(pullAnswer(checked, ResponseCode.SUCCESS, 'FOUND', next), bodyBytes)
      context.stats.pulled(pull.topic, pull.group, at + 1, bodyBytes)
      return
    }
  }
  answer.commit()
  context.offsets.notePull(pull.topic, pull.group, pull.queueId, scan.nextBeginOffset)
  context.stats.pulled(pull.topic, pull.group, scan.unitCount, bodyBytes)
}

/** The message that could not be read is told of when it is its turn. */
function readAhead({ store, log }: BrokerContext): void {
  try {
    store.reader.expect(scan.physicalOffsets, scan.sizesBytes, scan.count)
  } catch (error) {
    log(`messages from ${scan.physicalOffsets[0]} on cannot be read together: ${String(error)}`)
  }
}

/** A claimed answer must be committed, so a failing disk reads as a missing message. */
function readInto(
  physicalOffset: number,
  sizeBytes: number,
  target: Buffer,
  targetOffset: number,
  context: BrokerContext,
): boolean {
  try {
    return context.store.reader.read(physicalOffset, sizeBytes, target, targetOffset)
  } catch (error) {
    context.log(`the message at ${physicalOffset} cannot be read: ${String(error)}`)
    return false
  }
}

/**
 * The message that a unit names says itself where it belongs; a rotten unit may name another one.
 * Queues that share messages of other topics (Apache's LMQ) cannot be told apart so.
 */
function isOfQueue(
  bytes: Buffer,
  start: number,
  pull: { readonly topic: string; readonly queueId: number },
  queueOffset: number,
): boolean {
  const isOfOffset =
    msgQueueOffset(bytes, start) === queueOffset || isBatchOf(bytes, start, queueOffset, 1)
  if (isOfOffset && msgQueueId(bytes, start) === pull.queueId) {
    const topic = msgTopicRange(bytes, start, topicRange)
    if (topic.end - topic.start !== pull.topic.length) return isLightTopic(pull.topic)
    let at = 0
    while (at < pull.topic.length && bytes[topic.start + at] === pull.topic.charCodeAt(at)) at++
    if (at === pull.topic.length) return true
  }
  return isLightTopic(pull.topic)
}

/** Whether the message is an inner batch that has `units` offsets from `queueOffset` on. */
function isBatchOf(bytes: Buffer, start: number, queueOffset: number, units: number): boolean {
  if ((msgSysFlag(bytes, start) & MessageSysFlag.INNER_BATCH) === 0) return false
  const first = msgQueueOffset(bytes, start)
  return queueOffset >= first && queueOffset + units <= first + msgQueueOffsets(bytes, start)
}

const topicRange = new ByteRange()

/** The answer ends before a message that could not be read; when it is the first, it says why. */
function shortenedAnswer(checked: CheckedPull, readCount: number, context: BrokerContext): Answer {
  const missing = scan.queueOffsets[readCount] as number
  if (readCount > 0) return pullAnswer(checked, ResponseCode.SUCCESS, 'FOUND', missing)
  const { logMinPosition } = context.store.queues
  // Retention took it away while it was read.
  if ((scan.physicalOffsets[0] as number) < logMinPosition) {
    const remark = 'MESSAGE_WAS_REMOVING'
    return pullAnswer(checked, ResponseCode.PULL_RETRY_IMMEDIATELY, remark, missing + 1)
  }
  return damagedAnswer(checked, missing, context)
}

/** A message is never passed over because its unit or its bytes are damaged here. */
function damagedAnswer(checked: CheckedPull, queueOffset: number, context: BrokerContext): Answer {
  const { topic, queueId } = checked.pull
  if (context.store.repairUnit(topic, queueId, queueOffset)) {
    return pullAnswer(checked, ResponseCode.PULL_RETRY_IMMEDIATELY, 'UNIT_REPAIRED', queueOffset)
  }
  return {
    code: ResponseCode.SYSTEM_ERROR,
    remark:
      `the message of ${topic}, queue ${queueId}, offset ${queueOffset} cannot be read on this node ` +
      'now: see its log for the damage and its repair; another node has it',
  }
}

function pullAnswer(
  { topic, group }: { topic: TopicConfig; group: GroupConfig },
  code: number,
  remark: string,
  nextBeginOffset: number,
): Answer {
  return {
    code,
    remark,
    ext: {
      suggestWhichBrokerId: '0',
      nextBeginOffset: String(nextBeginOffset),
      minOffset: String(scan.minOffset),
      maxOffset: String(scan.maxOffset),
      topicSysFlag: String(topic.topicSysFlag),
      groupSysFlag: String(group.groupSysFlag),
    },
  }
}
