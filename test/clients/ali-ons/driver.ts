/**
 * The real ali-ons client, driven by lines on stdin and answering with JSON lines on stdout, as
 * ClientDriver.java does: `id command name=value …`.
 */
import { createInterface } from 'node:readline'
import { Consumer, Message, Producer } from 'ali-ons'

const SENDERS = 8
const RETRY_MS = 50
const GIVE_UP_MS = 90_000
const silent = { debug() {}, info() {}, warn() {}, error: console.error }

type Arguments = ReadonlyMap<string, string>

const nameServer = process.argv[2] ?? ''
const members = new Map<string, Consumer>()
let producer: Producer | undefined

function say(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function clientOptions(instanceName: string) {
  return {
    // Asked for addresses of Alibaba's cloud only.
    httpclient: {},
    accessKeyId: 'access',
    accessKeySecret: 'secret',
    nameSrv: nameServer,
    instanceName,
    logger: silent,
    pollNameServerInteval: 1_000,
    heartbeatBrokerInterval: 1_000,
  }
}

async function startedProducer(): Promise<Producer> {
  if (producer === undefined) {
    producer = new Producer({ ...clientOptions('producer'), producerGroup: 'producers' })
    producer.on('error', console.error)
    await producer.ready()
  }
  return producer
}

async function produce(values: Arguments): Promise<void> {
  const first = Number(values.get('first') ?? 0)
  const count = Number(values.get('count') ?? 1)
  const tags = (values.get('tags') ?? 'T').split(',')
  const started = await startedProducer()
  const send = async (offset: number): Promise<void> => {
    for (let index = offset; index < count; index += SENDERS) {
      const key = `${values.get('prefix')}-${first + index}`
      const tag = tags[index % tags.length] ?? ''
      const text = `${key} ${'x'.repeat(100)}`
      await sendUntilSent(started, key, () => {
        const message = new Message(values.get('topic') ?? '', tag, text)
        message.keys = [key]
        const delay = Number(values.get('delay') ?? 0)
        if (delay > 0) message.delayTimeLevel = delay
        return message
      })
    }
  }
  await Promise.all(Array.from({ length: SENDERS }, (_, offset) => send(offset)))
}

/** A send that failed may be in the log all the same: a repeat is the sender's. */
async function sendUntilSent(from: Producer, key: string, make: () => Message): Promise<void> {
  const end = Date.now() + GIVE_UP_MS
  for (;;) {
    try {
      const message = make()
      const result = await from.send(message)
      if (result.sendStatus !== 'SEND_OK') throw new Error(result.sendStatus)
      say({
        event: 'sent',
        topic: message.topic,
        key,
        queue: result.messageQueue.queueId,
        offset: Number(result.queueOffset),
        messageId: result.msgId,
        offsetMessageId: result.offsetMsgId,
      })
      return
    } catch (error) {
      if (Date.now() > end) throw error
      await new Promise((next) => setTimeout(next, RETRY_MS))
    }
  }
}

async function join(values: Arguments): Promise<void> {
  const member = values.get('member') ?? ''
  const failures = Number(values.get('failures') ?? 0)
  const consumer = new Consumer({
    ...clientOptions(member),
    consumerGroup: values.get('group') ?? '',
    consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
    rebalanceInterval: 1_000,
    persistConsumerOffsetInterval: 1_000,
    isBroadcast: values.get('broadcast') === 'true',
  })
  consumer.on('error', console.error)
  members.set(member, consumer)
  consumer.subscribe(
    values.get('topic') ?? '',
    values.get('tags') ?? '*',
    async (message, queue) => {
      say({
        event: 'got',
        member,
        topic: message.topic,
        from: queue?.topic ?? '',
        queue: message.queueId,
        offset: Number(message.queueOffset),
        key: message.keys,
        body: message.body.toString().split(' ')[0],
        tag: message.tags,
        times: message.reconsumeTimes,
        bornMs: Number(message.bornTimestamp),
        storedMs: Number(message.storeTimestamp),
      })
      return message.reconsumeTimes < failures ? Consumer.ACTION_RETRY : undefined
    },
  )
  await consumer.ready()
}

async function leave(values: Arguments): Promise<void> {
  const member = values.get('member') ?? ''
  await members.get(member)?.close()
  members.delete(member)
}

const commands: Readonly<Record<string, (values: Arguments) => Promise<void>>> = {
  produce,
  join,
  leave,
}

async function run(text: string): Promise<void> {
  const [id, command = '', ...words] = text.split(' ')
  try {
    const values = words.map((word) => {
      const equals = word.indexOf('=')
      return [word.slice(0, equals), word.slice(equals + 1)] as const
    })
    const action = commands[command]
    if (action === undefined) throw new Error(`no command ${command}`)
    await action(new Map(values))
    say({ id })
  } catch (error) {
    say({ id, error: String(error) })
  }
}

process.on('unhandledRejection', (reason) => console.error('unhandled', reason))
const input = createInterface({ input: process.stdin })
input.on('line', (text) => void run(text))
input.on('close', () => process.exit(0))
