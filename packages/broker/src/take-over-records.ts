/**
 * Brings into the log what the group took over from brokers before it: topics, groups, offsets. The
 * first leader does, before it serves. Owns the rule that it is in the log wholly or not at all: a
 * leader that finds it begun and not ended begins anew.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, LedgerError } from '@ringledger/base'
import type { CorePort } from './core-port-api.ts'
import { readText } from './state/config-file.ts'
import { encodeStateMessage, readRecord, type StateRecord } from './state/records.ts'
import type { StateView } from './store-view.ts'

/** Below `config/`: what the group took over, as state records; made once by every first member. */
export const RECORDS_FILE = 'ringledger-takeover.json'

export interface TakeOverOptions {
  readonly records: readonly StateRecord[]
  readonly port: Pick<CorePort, 'append'>
  readonly clock: Clock
  readonly storeHost: Buffer
  readonly state: Pick<StateView, 'takenOver'>
}

export class TakeOverRecords {
  readonly #options: TakeOverOptions
  #next = 0
  #term = -1

  constructor(options: TakeOverOptions) {
    this.#options = options
  }

  /** Proposes what is left, as this leader; true once everything is in the log and applied. */
  settled(term: number): boolean {
    const { records, state, port, clock, storeHost } = this.#options
    if (records.length === 0 || state.takenOver) return true
    if (term !== this.#term) {
      this.#term = term
      this.#next = 0
    }
    while (this.#next < records.length) {
      const record = records[this.#next] as StateRecord
      const message = encodeStateMessage(record, storeHost, clock.wallMs())
      // A refusal means that this node does not lead any more: the next leader begins anew.
      if (!port.append(-1, message, () => {})) return false
      this.#next++
    }
    return false
  }
}

/** What a first start noted; none for a group without an old log. @throws LedgerError CORRUPT */
export function readTakeOverRecords(
  rootDirectory: string,
  log: (line: string) => void,
): StateRecord[] {
  const path = join(rootDirectory, 'config', RECORDS_FILE)
  if (!existsSync(path) && !existsSync(`${path}.bak`)) return []
  const records = readText(path, log, (text) => {
    const values = JSON.parse(text) as unknown
    if (!Array.isArray(values)) throw new LedgerError('CORRUPT', 'not a list of records')
    return values.map((value) => {
      const record = readRecord(value)
      if (typeof record === 'string') throw new LedgerError('CORRUPT', record)
      return record
    })
  })
  return records ?? []
}
