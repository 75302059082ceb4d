/** The frame fields of a plain pull, as a client that subscribes to everything sends them. */
import { RequestCode } from '@ringledger/protocol'

/** The subscription comes with the request: the broker need not know the group. */
const WITH_SUBSCRIPTION = '4'

export interface PullPlace {
  readonly group: string
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  readonly maxMessages: number
}

/** Answered at once, also when there is nothing. */
export function pullRequest({ group, topic, queueId, queueOffset, maxMessages }: PullPlace): {
  code: number
  ext: Record<string, string>
} {
  const ext = {
    consumerGroup: group,
    topic,
    queueId: String(queueId),
    queueOffset: String(queueOffset),
    maxMsgNums: String(maxMessages),
    sysFlag: WITH_SUBSCRIPTION,
    commitOffset: '0',
    suspendTimeoutMillis: '0',
    subscription: '*',
    subVersion: '0',
    expressionType: 'TAG',
  }
  return { code: RequestCode.PULL_MESSAGE, ext }
}
