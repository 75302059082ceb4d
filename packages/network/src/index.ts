export {
  Connection,
  type ConnectionHandlers,
  type ConnectionLimits,
  MAX_FRAME_BYTES,
  type OnConnectionFrame,
} from './connection.ts'
export type { ListenAddress } from './listen.ts'
export { RemotingListener, type RemotingListenerOptions } from './listener.ts'
export { type NetworkLog, silentLog } from './log.ts'
export { Outbox } from './outbox.ts'
export { hostBytes, hostText } from './remote-host.ts'
export { type Flushable, Turn } from './turn.ts'
