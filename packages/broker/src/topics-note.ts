/** The topic table as the main thread registers it at name servers. */
import { TopicPerm } from '@ringledger/protocol'
import type { ReplicatedState } from './state/replicated-state.ts'
import type { BrokerNote } from './wiring.ts'

/** A broker that may not be read or written as a whole takes that bit from every topic. */
export function topicsNote(
  state: Pick<ReplicatedState, 'topics' | 'topicsVersion'>,
  brokerPermission: number,
): BrokerNote {
  const restricted = (brokerPermission & TopicPerm.READ_WRITE) !== TopicPerm.READ_WRITE
  const topics: Record<string, unknown> = {}
  for (const [name, config] of state.topics) {
    topics[name] = restricted ? { ...config, perm: config.perm & brokerPermission } : config
  }
  const { counter, timestamp } = state.topicsVersion
  return { kind: 'topics', counter, timestampMs: timestamp, topics }
}
