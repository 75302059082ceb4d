/** What the driver uses of npm's ali-ons, which comes without types. */
declare module 'ali-ons' {
  import type { EventEmitter } from 'node:events'

  interface Options {
    readonly httpclient: unknown
    readonly accessKeyId: string
    readonly accessKeySecret: string
    readonly nameSrv: string
    readonly instanceName: string
    readonly logger: unknown
    readonly pollNameServerInteval: number
    readonly heartbeatBrokerInterval: number
  }

  interface SendResult {
    readonly sendStatus: string
    readonly msgId: string
    readonly offsetMsgId: string
    readonly queueOffset: number | string
    readonly messageQueue: { readonly queueId: number }
  }

  class Message {
    constructor(topic: string, tags: string, body: string)
    keys: string
    set keys(keys: readonly string[])
    body: Buffer
    delayTimeLevel: number
    shardingKey: string
    readonly topic: string
    readonly tags: string
    readonly reconsumeTimes: number
    readonly queueId: number
    readonly queueOffset: number | string
    readonly bornTimestamp: number | string
    readonly storeTimestamp: number | string
  }

  class Producer extends EventEmitter {
    constructor(options: Options & { readonly producerGroup: string })
    ready(): Promise<void>
    send(message: Message): Promise<SendResult>
    close(): Promise<void>
  }

  class Consumer extends EventEmitter {
    static readonly ACTION_RETRY: unknown
    constructor(
      options: Options & {
        readonly consumerGroup: string
        readonly rebalanceInterval: number
        readonly persistConsumerOffsetInterval: number
        readonly consumeFromWhere: string
        readonly maxReconsumeTimes?: number
        readonly isBroadcast?: boolean
      },
    )
    ready(): Promise<void>
    subscribe(
      topic: string,
      tags: string,
      handler: (message: Message, queue: { readonly topic: string }) => Promise<unknown>,
    ): void
    close(): Promise<void>
  }
}
