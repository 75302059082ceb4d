/**
 * A rollback, an adoption or the recovery of a plain store as a process of its own, that a test can
 * kill. Arguments: what to do, from where, to where.
 */
import { join } from 'node:path'
import {
  PlainStoreBuilder,
  type PlainStoreBuilderOptions,
} from '../../packages/broker/src/internal.ts'
import { takeOverOldLog } from '../../packages/broker/src/old-log/take-over.ts'
import { BrokerStore } from '../../packages/broker/src/store/broker-store.ts'
import { JoinedLog } from '../../packages/broker/src/store/joined-log.ts'
import { PlainLog } from '../../packages/broker/src/store/plain-log.ts'
import { emptyArena, SAMPLE_SIZES } from '../../packages/broker/src/store/sample-store.ts'
import { adoptLog, rollbackStore } from '../../packages/upgrade/src/index.ts'

const SIZES = { consumeQueueFileBytes: 2000, indexSlots: 100, indexEntries: 400 }
const SAVE_EVERY_BYTES = 64 * 1024
/** Dispatched between two turns of write-back, so that a small store has many. */
const DUTY_ENTRIES = 16
const [what, from = '', to = ''] = process.argv.slice(2)

/** As a broker's first start does it, down to its orderly end. `segmentBytes`: of the samples. */
function recover(root: string, segmentBytes: number): void {
  const config = { rootDirectory: root, selfId: 'n0', segmentBytes }
  const old = takeOverOldLog(join(root, 'commitlog'), config, () => {})
  const plain = new PlainLog(old.files, old.dividedPosition)
  const store = BrokerStore.open(
    {
      rootDirectory: root,
      arena: emptyArena(old.dividedPosition),
      files: new JoinedLog(plain, { read: () => 0 }),
      logFirstPosition: plain.firstPosition,
      logEndPosition: old.dividedPosition,
      ...SAMPLE_SIZES,
      intervals: { flushMs: 0, syncMs: 0 },
    },
    { onMessage() {}, onRecord() {}, onReplaced() {} },
  )
  let nowMs = Date.now()
  while (store.duty(DUTY_ENTRIES)) while (store.tick(++nowMs, true));
  store.close()
}

switch (what) {
  case 'rollback':
    await rollbackStore({
      root: from,
      target: to,
      openBuilder: (request) =>
        new PlainStoreBuilder({ ...request, ...SIZES } as PlainStoreBuilderOptions),
      saveEveryBytes: SAVE_EVERY_BYTES,
    })
    break
  case 'adopt':
    await adoptLog({ root: to, from })
    break
  case 'recover':
    recover(from, Number(to))
    break
  default:
    throw new Error(`${what} is nothing that can be done`)
}
