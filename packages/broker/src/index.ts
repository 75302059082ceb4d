/** The RocketMQ broker: a whole node of a group, started from a main thread. */
export { areHours } from './live-settings.ts'
export type { NodeSettings, PeerAddress } from './node-settings.ts'
export { type BrokerSettings, defaultSettings } from './settings.ts'
export {
  type BrokerLog,
  type BrokerStatus,
  type RunningBroker,
  startBroker,
} from './start-broker.ts'
export type { TellWork } from './start-work.ts'
