/**
 * Requests and answers recorded from Apache RocketMQ 5.4.0 and its clients
 * (`testdata/remoting/*.json`), and the comparison of our answers with theirs. Offsets in the
 * log, times and hosts differ by nature and are left out.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import {
  decodeCommand,
  decodeMessage,
  parseLenientJson,
  type RemotingCommand,
} from '@ringledger/protocol'
import type { TestBroker } from '../broker-agent-fake.ts'

interface RecordedFrames {
  readonly request: Buffer
  readonly response: RemotingCommand | undefined
}

interface StoredFrames {
  readonly name: string
  readonly request: string
  readonly response: string | null
}

function framesIn(file: string): StoredFrames[] {
  const path = new URL(`../../testdata/remoting/${file}`, import.meta.url)
  return JSON.parse(readFileSync(path, 'utf8')) as StoredFrames[]
}

const frames = new Map<string, RecordedFrames>(
  [...framesIn('frames.json'), ...framesIn('admin-frames.json')].map(
    ({ name, request, response }) => [
      name,
      {
        request: Buffer.from(request, 'hex'),
        response: response === null ? undefined : decodeCommand(Buffer.from(response, 'hex')),
      },
    ],
  ),
)

export function recorded(name: string): RecordedFrames {
  const found = frames.get(name)
  assert.ok(found, `there is no recorded frame ${name}`)
  return found
}

/** Sends the recorded request and returns our answer. */
export function replay(
  broker: TestBroker,
  name: string,
  connectionId = 1,
): RemotingCommand | undefined {
  const { request } = recorded(name)
  broker.deliver(request, connectionId)
  broker.run()
  return broker.answerTo(decodeCommand(request).opaque)
}

export interface CompareOptions {
  /** Ext fields whose value differs by nature; they must be there. */
  readonly anyValue?: readonly string[]
  /** The answer's own remark is free unless this says otherwise. */
  readonly remark?: boolean
}

/** Replays and compares code, ext fields and body. */
export function replayAndCompare(
  broker: TestBroker,
  name: string,
  options: CompareOptions = {},
): RemotingCommand {
  const answer = replay(broker, name)
  const { response } = recorded(name)
  assert.ok(answer, `${name} is answered`)
  assert.ok(response, `${name} has a recorded answer`)
  compareAnswers(name, answer, response, options)
  return answer
}

export function compareAnswers(
  name: string,
  ours: RemotingCommand,
  theirs: RemotingCommand,
  options: CompareOptions = {},
): void {
  assert.equal(ours.code, theirs.code, `${name}: code (${ours.remark ?? ''})`)
  assert.equal(ours.flag, theirs.flag, `${name}: flag`)
  const ourExt = { ...ours.ext }
  const theirExt = { ...theirs.ext }
  for (const field of options.anyValue ?? []) {
    assert.equal(field in ourExt, field in theirExt, `${name}: ext ${field}`)
    delete ourExt[field]
    delete theirExt[field]
  }
  assert.deepEqual(ourExt, theirExt, `${name}: ext`)
  if (options.remark) assert.equal(ours.remark, theirs.remark, `${name}: remark`)
  compareBodies(name, ours.body, theirs.body)
}

function compareBodies(name: string, ours: Buffer, theirs: Buffer): void {
  if (theirs.length === 0) {
    assert.equal(ours.length, 0, `${name}: no body`)
  } else if (theirs[0] === 0x7b) {
    assert.deepEqual(jsonIn(ours), jsonIn(theirs), `${name}: body`)
  } else {
    assert.deepEqual(messagesIn(ours), messagesIn(theirs), `${name}: messages`)
  }
}

/** A JSON body of either dialect; object keys come as text. */
export function jsonIn(body: Buffer): unknown {
  return parseLenientJson(body.toString())
}

/**
 * The fields and types of a JSON value, numbers and texts left open; of maps and arrays with many
 * entries of one kind the first stands for all.
 */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])]
  if (typeof value !== 'object' || value === null) return typeof value
  const entries = Object.entries(value)
  const [first] = entries
  const isMap = first !== undefined && /^[{%\d]|^[A-Z]/.test(first[0])
  if (isMap) return { each: shapeOf(first[1]) }
  return Object.fromEntries(entries.map(([name, item]) => [name, shapeOf(item)]))
}

/** Replays and compares the code and the body's shape. */
export function replayAndCompareShape(broker: TestBroker, name: string): RemotingCommand {
  const answer = replay(broker, name)
  const { response } = recorded(name)
  assert.ok(answer, `${name} is answered`)
  assert.ok(response, `${name} has a recorded answer`)
  assert.equal(answer.code, response.code, `${name}: code (${answer.remark ?? ''})`)
  assert.deepEqual(Object.keys(answer.ext), Object.keys(response.ext), `${name}: ext`)
  assert.deepEqual(shapeOf(jsonIn(answer.body)), shapeOf(jsonIn(response.body)), `${name}: shape`)
  return answer
}

/** What a consumer makes of a pull's body, without what differs between two runs. */
export function messagesIn(body: Buffer): unknown[] {
  const messages: unknown[] = []
  for (let at = 0; at < body.length; ) {
    const message = decodeMessage(body, at)
    at += message.totalSize
    const properties = Object.fromEntries([...message.properties].sort())
    delete properties.ORIGIN_MESSAGE_ID
    messages.push({
      topic: message.topic,
      queueId: message.queueId,
      queueOffset: message.queueOffset,
      flag: message.flag,
      sysFlag: message.sysFlag,
      bornTimestampMs: message.bornTimestampMs,
      reconsumeTimes: message.reconsumeTimes,
      bodyCrc: message.bodyCrc,
      body: message.body.toString('hex'),
      properties,
    })
  }
  return messages
}
