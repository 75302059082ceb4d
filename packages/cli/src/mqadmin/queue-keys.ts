/** Maps keyed by MessageQueue, as brokers send them: the key is a JSON object in itself. */
import {
  asJsonObject,
  type MessageQueue,
  parseJsonBody,
  parseLenientJson,
} from '@ringledger/protocol'
import { compare } from './queries.ts'

/** The entries of `table` in the body's member `name`, sorted by topic, broker and queue. */
export function queueEntries(body: Buffer, name: string): [MessageQueue, unknown][] {
  const parsed = asJsonObject(parseJsonBody(body) ?? {}, 'the answer')
  const table = asJsonObject(parsed[name] ?? {}, name)
  const entries = Object.entries(table).map(([key, value]): [MessageQueue, unknown] => {
    const queue = asJsonObject(parseLenientJson(key), 'a queue')
    return [
      {
        brokerName: String(queue.brokerName),
        queueId: Number(queue.queueId),
        topic: String(queue.topic),
      },
      value,
    ]
  })
  return entries.sort(([left], [right]) => {
    return (
      compare(left.topic, right.topic) ||
      compare(left.brokerName, right.brokerName) ||
      left.queueId - right.queueId
    )
  })
}
