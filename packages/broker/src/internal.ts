/** What mqadmin needs for its work on stopped stores. Nothing here serves a running broker. */
export {
  type BuilderMark,
  type BuiltStore,
  PlainStoreBuilder,
  type PlainStoreBuilderOptions,
} from './store/plain-store-builder.ts'
export { StoppedQueues } from './store/stopped-queues.ts'
