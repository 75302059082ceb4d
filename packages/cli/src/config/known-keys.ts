/**
 * Settings that RocketMQ 5.4.0 or 4.9.4 understands, so that a configuration file written for it is
 * taken. The names come from the setters of the configuration classes of the released jars, by
 * reflection (scripts/rocketmq-keys).
 */
import names from './rocketmq-keys.json' with { type: 'json' }

const current = names['5.4.0']
const old = names['4.9.4 only']
/** Read by BrokerStartup itself, not through a setter. */
const STARTUP_KEYS = ['rmqAddressServerDomain', 'rmqAddressServerSubGroup', 'brokerConfigPath']

/** What a broker.conf may hold. */
export const BROKER_KEYS: ReadonlySet<string> = new Set([
  ...current.BrokerConfig,
  ...current.MessageStoreConfig,
  ...current.NettyServerConfig,
  ...current.NettyClientConfig,
  ...current.AuthConfig,
  ...old.BrokerConfig,
  ...old.MessageStoreConfig,
  ...STARTUP_KEYS,
])

/** What a namesrv.conf may hold. */
export const NAME_SERVER_KEYS: ReadonlySet<string> = new Set([
  ...current.NamesrvConfig,
  ...current.NettyServerConfig,
  ...current.NettyClientConfig,
])
