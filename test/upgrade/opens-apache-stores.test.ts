/**
 * Stores that the real brokers of Apache have just written, in all the ways that operators have
 * them, are opened here: every message is served byte for byte, and every consumer group goes on
 * where it was.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { newDriver, type Owner } from '../harness/client-test.ts'
import { useCluster } from '../harness/cluster.ts'
import { javaClient } from '../harness/tools.ts'
import { missingTools } from '../support/external-tools.ts'
import { APACHE_VERSIONS } from './apache-broker.ts'
import { type ApacheStore, copyStore, dumpOf, makeStores, type StoreName } from './apache-stores.ts'
import {
  assertAllFound,
  assertFoundByTime,
  assertSameContent,
  ContentReader,
} from './broker-content.ts'
import { assertHasFeatures, comparable, comparableDump, comparableOffsets } from './features.ts'
import { assertGoesOn } from './goes-on.ts'
import { verifiedByOthers } from './manifest.ts'
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
/** Of each queue's messages, through the real client. */
const LOOKED_UP_EVERY = 10
/** Of one command of a client. */
const LIMIT_MS = 480_000

for (const version of APACHE_VERSIONS) {
  describe(`written by Apache's ${version}`, { skip }, () => {
    const cluster = useCluster({
      nodes: 1,
      settings: { ...SMALL_FILES, messageDelayLevel: DELAYS },
      later: [NODE],
    })
    let stores: ReadonlyMap<StoreName, ApacheStore> = new Map()

    before(async () => {
      const ends: (() => Promise<void>)[] = []
      const owner: Owner = { after: (end) => ends.push(end) }
      const driver = newDriver(owner, cluster(), (home) => javaClient(version, home), LIMIT_MS)
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
        rmSync(directory, { recursive: true, force: true })
        copyStore(store.directory, directory)
        await cluster().restart(NODE)
        const address = cluster().addressOf(NODE)
        const consumerOffsets = comparableOffsets(store.consumerOffsets)
        await ContentReader.at(address, async (reader) => {
          const content = await reader.content()
          assertSameContent(comparable(store.content, content, name), store.content)
          assertHasFeatures(content, version, name)
          assert.deepEqual(comparableOffsets(await reader.consumerOffsets()), consumerOffsets)
          await assertAllFound(reader, store.content)
          await assertFoundByTime(reader, store.content)
        })
        const manifest = join(cluster().directory, `${name}.manifest.json`)
        const said = await verifiedByOthers(address, store.content, consumerOffsets, manifest)
        if (said !== undefined) context.diagnostic(said)
        const same = newDriver(context, cluster(), (home) => javaClient(version, home), LIMIT_MS)
        const file = join(cluster().directory, `${name}.dump`)
        const dump = await dumpOf(same, store.content, file, LOOKED_UP_EVERY)
        assert.deepEqual(comparableDump(store.dump, dump), store.dump)
        const driver = newDriver(context, cluster(), (home) => javaClient('5.4.0', home))
        for (const one of store.written) await assertGoesOn(driver, one, store.content)
      })
    }
  })
}
