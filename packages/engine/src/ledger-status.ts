/** The shared state in words. */
import type { LedgerFailure, LedgerPeerStatus, LedgerStatus } from './ledger.ts'
import { type LedgerStateReader, PeerWord, StateWord } from './ledger-state.ts'
import type { LedgerSettings } from './settings.ts'
import { PEER_STATES, ROLES } from './state-names.ts'

export function makeStatus(
  settings: LedgerSettings,
  state: LedgerStateReader,
  durablePosition: number,
  failure: LedgerFailure | undefined,
): LedgerStatus {
  state.refresh()
  const get = (word: StateWord): number => state.get(word)
  const role = failure === undefined ? (ROLES[get(StateWord.role)] ?? 'halted') : 'halted'
  const failed = failure !== undefined && failure.file !== ''
  return {
    selfId: settings.selfId,
    role,
    term: get(StateWord.term),
    leaderId: leaderId(settings, get(StateWord.leader)),
    serving: role === 'leader' && get(StateWord.serving) === 1,
    first: { index: get(StateWord.firstIndex), position: get(StateWord.firstPosition) },
    end: { index: get(StateWord.endIndex), position: get(StateWord.endPosition) },
    durablePosition: Math.min(durablePosition, get(StateWord.endPosition)),
    committed: {
      index: get(StateWord.committedIndex),
      position: get(StateWord.committedPosition),
    },
    peers: role === 'leader' ? peers(settings, state) : [],
    disk: failed ? 'failed' : get(StateWord.diskFull) === 1 ? 'full' : 'ok',
    damagedEntries: get(StateWord.damagedEntries),
    healing: get(StateWord.healing) === 1,
    failure,
  }
}

function leaderId(settings: LedgerSettings, number: number): string | undefined {
  if (number < 0) return undefined
  return settings.members.length === 0 ? settings.selfId : settings.members[number]?.id
}

function peers(settings: LedgerSettings, state: LedgerStateReader): LedgerPeerStatus[] {
  return settings.members
    .filter(({ id }) => id !== settings.selfId)
    .map(({ id }, number) => ({
      id,
      connected: state.peer(number, PeerWord.connected) === 1,
      state: PEER_STATES[state.peer(number, PeerWord.state)] ?? 'probe',
      matchPosition: state.peer(number, PeerWord.matchPosition),
      silentMs: state.peer(number, PeerWord.silentMs),
    }))
}
