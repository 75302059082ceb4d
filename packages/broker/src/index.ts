export type { NodeSettings, PeerAddress } from './node-settings.ts'
