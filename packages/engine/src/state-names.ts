/** Names of the numbers that travel in shared state; the order is the number. */
import type { LedgerPeerStatus, LedgerRole } from './ledger.ts'

export const ROLES: readonly LedgerRole[] = ['follower', 'candidate', 'leader', 'halted']
export const PEER_STATES: readonly LedgerPeerStatus['state'][] = [
  'probe',
  'replicate',
  'catchUp',
  'behindLogStart',
]
