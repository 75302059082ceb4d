/** Every request that only administrators and their tools send, by code. */
import type { Handler } from '../context.ts'
import { ADMIN_RUNTIME_HANDLERS } from './admin-runtime-info.ts'
import { ADMIN_TOPIC_HANDLERS } from './admin-topic.ts'

export const ADMIN_HANDLERS: ReadonlyMap<number, Handler> = new Map([
  ...ADMIN_RUNTIME_HANDLERS,
  ...ADMIN_TOPIC_HANDLERS,
])
