/** One node on a sample store: what it holds, and what was sent to it since. */
import type { Cluster } from '../harness/cluster.ts'
import { BrokerReader, type Stored } from './broker-reader.ts'

const NODE = 'n0'

interface SampleNodeOptions {
  readonly cluster: () => Cluster
  /** Of what is sent. */
  readonly topic: string
  readonly body: string
}

/** Runs `ask` with a connection to the node. */
export async function useNode<T>(
  cluster: Cluster,
  ask: (reader: BrokerReader) => Promise<T>,
): Promise<T> {
  const reader = await BrokerReader.connect(cluster.addressOf(NODE))
  try {
    return await ask(reader)
  } finally {
    reader.close()
  }
}

export class SampleNode {
  readonly sent: Stored[] = []
  readonly #options: SampleNodeOptions

  constructor(options: SampleNodeOptions) {
    this.#options = options
  }

  use<T>(ask: (reader: BrokerReader) => Promise<T>): Promise<T> {
    return useNode(this.#options.cluster(), ask)
  }

  async send(count: number): Promise<void> {
    const { topic, body } = this.#options
    await this.use(async (reader) => {
      for (let left = count; left > 0; left--) {
        this.sent.push(await reader.send(topic, 0, body, `new-${left}`))
      }
    })
  }

  /** After such a stop `assertAll` holds, and more can be sent. */
  async goesOnAfter(signal: 'SIGTERM' | 'SIGKILL', assertAll: () => Promise<void>): Promise<void> {
    await this.#options.cluster().kill(NODE, signal)
    await this.#options.cluster().restart(NODE)
    await assertAll()
    await this.send(10)
    await assertAll()
  }
}
