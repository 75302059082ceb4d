/**
 * A rollback or an adoption as a process of its own, which says each of its steps on stdout, so
 * that a test can kill it at any of them. Arguments: what to do, from where, to where.
 */
import {
  PlainStoreBuilder,
  type PlainStoreBuilderOptions,
} from '../../packages/broker/src/internal.ts'
import {
  adoptLog,
  type BuilderRequest,
  rollbackStore,
  type StoreBuilder,
} from '../../packages/upgrade/src/index.ts'

const SIZES = { consumeQueueFileBytes: 2000, indexSlots: 100, indexEntries: 400 }
const SAVE_EVERY_BYTES = 64 * 1024
const [what, from = '', to = ''] = process.argv.slice(2)

function step(): void {
  process.stdout.write('step\n')
}

/** Every call of the builder is a step. */
function openBuilder(request: BuilderRequest): StoreBuilder {
  const builder = new PlainStoreBuilder({ ...request, ...SIZES } as PlainStoreBuilderOptions)
  return new Proxy<StoreBuilder>(builder, {
    get(target, name: keyof StoreBuilder) {
      const method = target[name] as (...values: unknown[]) => unknown
      return (...values: unknown[]): unknown => {
        step()
        return method.apply(target, values)
      }
    },
  })
}

if (what === 'rollback') {
  await rollbackStore({ root: from, target: to, openBuilder, saveEveryBytes: SAVE_EVERY_BYTES })
} else await adoptLog({ root: to, from, onProgress: step })
