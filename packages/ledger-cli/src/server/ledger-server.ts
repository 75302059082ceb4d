/**
 * One `ledger server`: a member of a group, and a port for its clients. Owns the order of an end:
 * leadership moves and what is under way is answered before the port closes.
 */
import { LedgerError } from '@ringledger/base'
import { type Ledger, type LedgerLog, type LedgerOptions, openLedger } from '@ringledger/engine'
import { addressText, type MemberAddress } from '../peers.ts'
import { type ClientLimits, LedgerListener } from './ledger-listener.ts'
import { LedgerService } from './ledger-service.ts'

export interface LedgerServerOptions {
  /** What the member is opened with. */
  readonly ledger: LedgerOptions & { readonly group: string; readonly selfId: string }
  /** Where clients reach each member; this one listens on its own port. */
  readonly clients: readonly MemberAddress[]
  /** Local address of the client port. Default: this member's host. */
  readonly bindAddress?: string
  readonly limits?: Partial<ClientLimits>
  readonly log: LedgerLog
}

export interface RunningLedgerServer {
  readonly ledger: Ledger
  readonly clientPort: number
  close(): Promise<void>
}

/** Resolves once clients can connect. @throws LedgerError as `openLedger`, and PORT_BUSY */
export async function startLedgerServer(
  options: LedgerServerOptions,
): Promise<RunningLedgerServer> {
  const { clients, log } = options
  const { group, selfId } = options.ledger
  const own = clients.find(({ id }) => id === selfId)
  if (own === undefined) {
    throw new LedgerError('BAD_CONFIG', `--clients does not say where ${selfId} listens`)
  }
  const ledger = await openLedger({ ...options.ledger, log })
  const addresses = new Map(clients.map((client) => [client.id, addressText(client)]))
  const service = new LedgerService({ ledger, group, selfId, clients: addresses })
  const listener = new LedgerListener({
    host: options.bindAddress ?? own.host,
    port: own.port,
    service,
    log,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  })
  const close = async (): Promise<void> => {
    await ledger.close()
    service.close()
    // The answers of this turn go out at its end.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    await listener.close()
  }
  try {
    await listener.listen()
  } catch (error) {
    await close()
    throw error
  }
  addresses.set(selfId, addressText({ host: own.host, port: listener.port }))
  return { ledger, clientPort: listener.port, close }
}
