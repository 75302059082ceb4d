/** What speaks RocketMQ's protocol is measured by the same load: RingLedger and Apache. */
import { pullAll } from '../load/pull-load.ts'
import { sendLoad } from '../load/send-load.ts'
import { sendTemplates } from '../resilience/send-connection.ts'
import { pullFigures } from '../scenario/cold-reads.scenario.ts'
import { closedFigures } from '../scenario/measure-send.ts'
import type { RunningPeer } from './peer.ts'

export const QUEUES = 8
const WARM = { connections: 4, window: 64, warmupSeconds: 0 }
const SETTLE_SECONDS = 1
/** As many of each system, however much it has taken before. */
const READ_BACK_OF_QUEUE = 12_500
const WARM_BODY_BYTES = 1024

/** `topic` has {@link QUEUES} queues at the broker `address`, which leads. */
export function remotingPeer(
  address: string,
  topic: string,
  stop: () => Promise<void>,
): RunningPeer {
  return {
    warm: async (seconds) => {
      const templates = sendTemplates(topic, WARM_BODY_BYTES, QUEUES)
      await sendLoad({ ...WARM, address, templates, seconds })
    },
    send: async ({ connections, window, bodyBytes }, seconds) => {
      const templates = sendTemplates(topic, bodyBytes, QUEUES)
      const load = { address, templates, connections, window, seconds }
      return closedFigures(await sendLoad({ ...load, warmupSeconds: SETTLE_SECONDS }))
    },
    pull: async () => {
      const lastOfQueue = READ_BACK_OF_QUEUE
      const options = { address, topic, queues: QUEUES, connections: 4, lastOfQueue }
      return pullFigures(await pullAll(options))
    },
    stop,
  }
}
