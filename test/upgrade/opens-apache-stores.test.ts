/**
 * Stores that the real brokers of Apache have just written, in all the ways that operators have
 * them, are opened here: every message is served byte for byte, and every consumer group goes on
 * where it was.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { newDriver, type Owner } from '../harness/client-test.ts'
import { useCluster } from '../harness/cluster.ts'
import { javaClient } from '../harness/tools.ts'
import { missingTools } from '../support/external-tools.ts'
import { APACHE_VERSIONS } from './apache-broker.ts'
import { type ApacheStore, copyStore, makeStores, type StoreName } from './apache-stores.ts'
import { assertAllFound, assertSameContent, ContentReader } from './broker-content.ts'
import { assertGoesOn } from './goes-on.ts'
import { SMALL_FILES } from './node-settings.ts'
import { DELAYS } from './workload.ts'

const skip = missingTools('java', 'mvn')
const STORES: readonly (readonly [StoreName, string])[] = [
  ['plain', 'a plain store'],
  ['killed', 'a plain store of a killed broker'],
  ['upgraded', 'a store that Apache took to DLedger mode'],
  ['dledger', 'a DLedger store of a killed broker'],
]
const NODE = 'n0'

for (const version of APACHE_VERSIONS) {
  describe(`written by Apache's ${version}`, { skip }, () => {
    const cluster = useCluster({
      nodes: 1,
      settings: { ...SMALL_FILES, messageDelayLevel: DELAYS },
    })
    let stores: ReadonlyMap<StoreName, ApacheStore> = new Map()

    before(async () => {
      const ends: (() => Promise<void>)[] = []
      const owner: Owner = { after: (end) => ends.push(end) }
      await cluster().kill(NODE, 'SIGKILL')
      const driver = newDriver(owner, cluster(), (home) => javaClient(version, home))
      try {
        stores = await makeStores(cluster(), NODE, version, driver)
      } finally {
        for (const end of ends) await end()
      }
    })

    for (const [name, what] of STORES) {
      test(`${what} is served whole, and groups go on`, async (context) => {
        const store = stores.get(name)
        assert.ok(store)
        const directory = cluster().storeOf(NODE)
        await cluster().kill(NODE, 'SIGKILL')
        rmSync(directory, { recursive: true })
        copyStore(store.directory, directory)
        await cluster().restart(NODE)
        await ContentReader.at(cluster().addressOf(NODE), async (reader) => {
          assertSameContent(await reader.content(), store.content)
          assert.deepEqual(await reader.consumerOffsets(), store.consumerOffsets)
          await assertAllFound(reader, store.content)
        })
        const driver = newDriver(context, cluster(), (home) => javaClient('5.4.0', home))
        for (const one of store.written) await assertGoesOn(driver, one, store.content)
      })
    }
  })
}
