/** Every request that only administrators and their tools send, by code. */
import type { Handler } from '../context.ts'
import { ADMIN_CLIENT_HANDLERS } from './admin-clients.ts'
import { ADMIN_CONFIG_HANDLERS } from './admin-config.ts'
import { ADMIN_CONSUME_STATS_HANDLERS } from './admin-consume-stats.ts'
import { ADMIN_GROUP_HANDLERS } from './admin-group.ts'
import { ADMIN_LEADER_HANDLERS } from './admin-leader.ts'
import { ADMIN_OFFSET_HANDLERS } from './admin-offset.ts'
import { ADMIN_RELAY_HANDLERS } from './admin-relay.ts'
import { ADMIN_RUNTIME_HANDLERS } from './admin-runtime-info.ts'
import { ADMIN_STORE_HANDLERS } from './admin-store.ts'
import { ADMIN_TOPIC_HANDLERS } from './admin-topic.ts'

export const ADMIN_HANDLERS: ReadonlyMap<number, Handler> = new Map([
  ...ADMIN_CLIENT_HANDLERS,
  ...ADMIN_CONFIG_HANDLERS,
  ...ADMIN_CONSUME_STATS_HANDLERS,
  ...ADMIN_GROUP_HANDLERS,
  ...ADMIN_LEADER_HANDLERS,
  ...ADMIN_OFFSET_HANDLERS,
  ...ADMIN_RELAY_HANDLERS,
  ...ADMIN_RUNTIME_HANDLERS,
  ...ADMIN_STORE_HANDLERS,
  ...ADMIN_TOPIC_HANDLERS,
])
