/** `ledger status`: what every member says of itself, as a table. */
import { type Cell, columns, formatTable } from '@ringledger/base'
import type { LedgerStatus } from '@ringledger/engine'
import type { MemberReport } from '../client/ledger-client.ts'
import { statusOf } from '../wire/messages.ts'
import {
  type AddCommand,
  type ClientOptions,
  type CommandIo,
  ExitCode,
  sayFailure,
  withClient,
  withClientOptions,
} from './command.ts'

const EXAMPLES = `
Examples:
  ledger status
  ledger status --json | jq .leaderId

Committed and End are indexes; Behind is how many bytes of the leader's log a follower does not have
on its disk yet. Ends with 0 when a leader serves, else with 1.`

interface MemberView {
  readonly id: string
  readonly address: string
  readonly status: LedgerStatus | undefined
  readonly behindBytes: number | undefined
  readonly error: string | undefined
}

export const addStatus: AddCommand = (program, io, ended) => {
  withClientOptions(program.command('status'))
    .description('Show every member: role, term, how far its log goes, what is wrong with it.')
    .addHelpText('after', EXAMPLES)
    .action(async (options: ClientOptions) => {
      try {
        const reports = await withClient(options, (client) => client.members())
        const members = viewsOf(reports)
        const leader = members.find(({ status }) => status?.serving === true)
        if (options.json === true) printJson(options.group, leader, members, io)
        else printTable(members, io)
        if (leader === undefined) ended(ExitCode.FAILED)
      } catch (error) {
        ended(sayFailure(error, io.stderr, options.json === true))
      }
    })
}

function viewsOf(reports: readonly MemberReport[]): MemberView[] {
  const statuses = reports.map(({ answer }) =>
    answer === undefined ? undefined : statusOf(answer),
  )
  const leader = statuses.find((status) => status?.serving === true)
  return reports.map(({ id, address, error }, at) => {
    const peer = leader?.peers.find((one) => one.id === id)
    const behindBytes = peer === undefined ? undefined : leader!.end.position - peer.matchPosition
    return { id, address, status: statuses[at], behindBytes, error }
  })
}

function printJson(
  group: string,
  leader: MemberView | undefined,
  members: readonly MemberView[],
  io: CommandIo,
): void {
  const leaderId = leader?.id ?? null
  const term = leader?.status?.term ?? null
  io.stdout.write(`${JSON.stringify({ group, leaderId, term, members })}\n`)
}

function printTable(members: readonly MemberView[], io: CommandIo): void {
  const style = io.stdout.isTTY === true ? 'terminal' : 'plain'
  const heads = columns(
    'Id',
    'Address',
    'Role',
    '>Term',
    'Leader',
    '>First',
    '>Committed',
    '>End',
    '>Behind',
    'Disk',
  )
  const lines = formatTable(heads, members.map(rowOf), style)
  io.stdout.write(`${lines.join('\n')}\n`)
  for (const member of members) {
    for (const line of troublesOf(member)) io.stdout.write(`${line}\n`)
  }
}

/** What the table has no column for, a line each. */
function troublesOf({ id, address, status, error }: MemberView): string[] {
  if (error !== undefined) return [`${id === '' ? address : id} does not answer: ${error}`]
  const lines: string[] = []
  if (status?.failure !== undefined) {
    const { file, error: cause } = status.failure
    lines.push(`${id} has left the group: ${file === '' ? '' : `${file}: `}${cause}`)
  }
  const damaged = status?.damagedEntries ?? 0
  if (damaged > 0) lines.push(`${id} has damaged entries and gets them from the others: ${damaged}`)
  if (status?.healing === true) {
    lines.push(`${id} lacks what it once acknowledged, and gives no vote until it has it again`)
  }
  return lines
}

function rowOf({ id, address, status, behindBytes }: MemberView): Cell[] {
  if (status === undefined) return [id, address, 'no answer']
  const isReady = status.role !== 'leader' || status.serving
  return [
    id,
    address,
    isReady ? status.role : 'leader, not serving yet',
    status.term,
    status.leaderId,
    status.first.index,
    status.committed.index,
    status.end.index,
    behindBytes,
    status.disk,
  ]
}
