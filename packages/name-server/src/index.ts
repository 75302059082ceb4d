/** A RocketMQ name server: routes, cluster table and KV configuration. */
export {
  NAME_SERVER_BLACK_LIST,
  NAME_SERVER_DEFAULTS,
  NAME_SERVER_IGNORED_KEYS,
  type NameServerSettings,
} from './config.ts'
export { type Log, silentLog } from './log.ts'
export { type NameServerOptions, type RunningNameServer, runNameServer } from './server.ts'
