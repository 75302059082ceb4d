export {
  RemotingClient,
  type RemotingClientOptions,
  type Reply,
  type RequestInit,
} from './client.ts'
export {
  Connection,
  type ConnectionHandlers,
  type ConnectionLimits,
  type OnConnectionFrame,
} from './connection.ts'
export { type ListenAddress, probePort } from './listen.ts'
export { RemotingListener, type RemotingListenerOptions } from './listener.ts'
export { type NetworkLog, silentLog } from './log.ts'
export { Outbox } from './outbox.ts'
export type { PeerPiece } from './peer-batch.ts'
export type { PeerMessage } from './peer-codec.ts'
export type { PeerAddress } from './peer-dialer.ts'
export { PeerHub, type PeerHubHandlers, type PeerHubOptions } from './peer-hub.ts'
export { type FakeLinkBehaviour, FakePeerHub, FakePeerNetwork } from './peer-hub-fake.ts'
export { hostBytes, hostText } from './remote-host.ts'
export { type Flushable, Turn } from './turn.ts'
