/** Our own group of three, with the shipped defaults. */
import { startGroup, TOPIC } from '../resilience/group.ts'
import type { Peer } from './peer.ts'
import { QUEUES, remotingPeer } from './remoting-peer.ts'

export const RINGLEDGER: Peer = {
  name: 'RingLedger',
  warmShare: 0,
  start: async () => {
    const cluster = await startGroup({ nodes: 3, settings: {}, queues: QUEUES })
    const address = cluster.addressOf(await cluster.leader())
    return remotingPeer(address, TOPIC, () => cluster.stop())
  },
}
