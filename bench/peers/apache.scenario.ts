/** Against Apache RocketMQ itself, which many who come here know. */
import type { Scenario } from '../suite/scenario.ts'
import { apache } from './apache.ts'
import { measurePeers } from './peer.ts'
import { RINGLEDGER } from './ringledger.ts'

export const scenario: Scenario = {
  title: 'Apache RocketMQ 5.4.0 DLedger, with and without batch push: the same sends and pulls',
  plots: [],
  run: (context) => {
    const peers = [RINGLEDGER, apache({ batchPush: true }), apache({ batchPush: false })]
    return measurePeers(peers, context)
  },
}
