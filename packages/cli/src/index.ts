export { type BrokerConfig, loadBrokerConfig } from './config/broker-config.ts'
export { loadNameServerConfig, type NameServerConfig } from './config/name-server-config.ts'
