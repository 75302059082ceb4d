/** Against a log of another kind, in another language. */
import type { Scenario } from '../suite/scenario.ts'
import { nats } from './nats.ts'
import { measurePeers } from './peer.ts'
import { RINGLEDGER } from './ringledger.ts'

export const scenario: Scenario = {
  title: 'NATS JetStream with three replicas, with and without sync always: the same sends',
  plots: [],
  run: (context) => {
    const peers = [RINGLEDGER, nats({ syncAlways: true }), nats({ syncAlways: false })]
    return measurePeers(peers, context)
  },
}
