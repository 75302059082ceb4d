/** The `ledger` command's parts that other programs may use. */
export {
  ClientError,
  LedgerClient,
  type LedgerClientOptions,
  type MemberReport,
} from './client/ledger-client.ts'
export { CLIENT_PORT_DISTANCE, type MemberAddress, parseClients, parsePeers } from './peers.ts'
export {
  type LedgerServerOptions,
  type RunningLedgerServer,
  startLedgerServer,
} from './server/ledger-server.ts'
export { findStore, type StoreDirectory } from './store/store-directory.ts'
export { type StoreDamage, type StoreReport, verifyStore } from './store/verify-store.ts'
