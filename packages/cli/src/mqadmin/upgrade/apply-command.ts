/** `mqadmin upgrade apply`: the configuration of a Master/Slave broker becomes a group member's. */
import { constants, copyFileSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { LedgerError } from '@ringledger/base'
import { replaceFile } from '@ringledger/base/internal'
import type { Command } from 'commander'
import { readBrokerConfig } from '../../config/broker-config.ts'
import { systemEnvironment } from '../../config/environment.ts'
import { formatPeers, parsePeers } from '../../config/peers.ts'
import { parseProperties } from '../../config/properties-file.ts'
import { UsageError } from '../errors.ts'
import { type AdminIo, show, type View } from '../view.ts'
import { type GroupKeys, withGroup } from './broker-conf-edit.ts'
import { UpgradeExit } from './compare-view.ts'
import { asAdminError, sayReasons } from './failures.ts'
import { unifiedDiff } from './unified-diff.ts'

interface ApplyArguments {
  readonly group: string
  readonly peers: string
  readonly self: string
  readonly preferredLeader?: string
  readonly write?: boolean
  readonly json?: boolean
}

interface Applied {
  readonly path: string
  readonly diff: string
  readonly warnings: readonly string[]
  readonly written: boolean
  /** Where the text before is kept. */
  readonly backup?: string
}

/** Apache's broker also listens there, for what must not wait behind pulls. */
const FAST_PORT_BELOW = 2

const HELP = `
Shows the difference; only --write changes the file. The text before stays beside it as
<broker.conf>.bak-<time>. storePathRootDir and everything else stay as they are.

Exit code:
  0  the difference is shown, or written
  3  a broker could not start with it; the text names every reason
  1  failed, 64 not understood

Example:
  mqadmin upgrade apply broker.conf --group RaftNode00 --self n0 \\
    --peers "n0-10.0.0.1:40911;n1-10.0.0.2:40911;n2-10.0.0.3:40911"`

export function addApply(upgrade: Command, io: AdminIo, exit: (code: number) => void): void {
  upgrade
    .command('apply')
    .argument('<broker.conf>', 'configuration of the stopped broker')
    .requiredOption('--group <name>', 'dLegerGroup; as a rule the brokerName')
    .requiredOption(
      '--peers <members>',
      'dLegerPeers, n0-host:port;n1-host:port;…, the same for all',
    )
    .requiredOption('--self <id>', 'dLegerSelfId: which of them this broker is')
    .option('--preferred-leader <ids>', 'preferredLeaderId: who should lead when it can')
    .option('--write', 'write it; the old text is kept')
    .option('--json', 'print one JSON document')
    .description("Write a member's configuration from a Master's or Slave's, in Apache's spelling.")
    .addHelpText('after', HELP)
    .action((path: string, options: ApplyArguments) => {
      const applied = apply(path, options, io, exit)
      if (applied !== undefined) show(appliedView(applied), io.stdout, options.json === true)
    })
}

function apply(
  path: string,
  options: ApplyArguments,
  io: AdminIo,
  exit: (code: number) => void,
): Applied | undefined {
  const keys = groupKeys(options)
  try {
    const file = realpathSync(path)
    const before = readFileSync(file, 'utf8')
    const after = withGroup(before, keys)
    const warnings = check(path, before, after)
    const diff = unifiedDiff(before, after, path, `${path} (new)`)
    if (options.write !== true || diff === '') return { path, diff, warnings, written: false }
    return { path, diff, warnings, written: true, backup: replace(file, after) }
  } catch (error) {
    if (!(error instanceof LedgerError) || error.code !== 'BAD_CONFIG') throw asAdminError(error)
    sayReasons(error.message.split('\n'), options.json === true, io)
    exit(UpgradeExit.DIFFERENT)
    return undefined
  }
}

function groupKeys({ group, peers, self, preferredLeader }: ApplyArguments): GroupKeys {
  const members = parsePeers(peers)
  if (typeof members === 'string') throw new UsageError(`option --peers: ${members}`)
  if (!members.some(({ id }) => id === self)) {
    const ids = members.map(({ id }) => id).join(', ')
    throw new UsageError(`option --self: ${self} is none of the peers (${ids})`)
  }
  const keys = { group, peers: formatPeers(members), self }
  return preferredLeader === undefined ? keys : { ...keys, preferredLeader }
}

/**
 * The warnings, with the lines that the file has now. @throws LedgerError BAD_CONFIG with every
 * reason why no broker starts with it
 */
function check(path: string, before: string, after: string): readonly string[] {
  const old = parseProperties(Buffer.from(before))
  const lineOf = new Map(old.entries.map(({ key, line }) => [key, line]))
  const entries = parseProperties(Buffer.from(after)).entries.map((entry) => {
    return { ...entry, line: lineOf.get(entry.key) ?? 0 }
  })
  const { problems } = old
  const { settings, warnings } = readBrokerConfig({ path, entries, problems }, systemEnvironment())
  const self = settings.peers.find(({ id }) => id === settings.dLegerSelfId)
  if (self?.port === settings.listenPort - FAST_PORT_BELOW) {
    throw new LedgerError(
      'BAD_CONFIG',
      `${path}: port ${self.port} of ${self.id} is listenPort - 2, where Apache's broker listens too: choose another`,
    )
  }
  const others: string[] = []
  if (settings.dLegerGroup !== settings.brokerName) {
    others.push(
      `${path}: dLegerGroup=${settings.dLegerGroup} is not brokerName=${settings.brokerName}; clients know the group by brokerName, which all members must share`,
    )
  }
  return [...warnings, ...others]
}

/** Atomic and durable; returns where the text before is. */
function replace(file: string, text: string): string {
  const backup = `${file}.bak-${new Date().toISOString().replace(/\D/g, '').slice(0, 17)}`
  copyFileSync(file, backup, constants.COPYFILE_EXCL)
  replaceFile(file, Buffer.from(text), statSync(file).mode)
  return backup
}

function appliedView(applied: Applied): View {
  const { path, diff, warnings, written, backup } = applied
  const end =
    diff === ''
      ? `${path} says all of that already.`
      : written
        ? `${path} is written; the text before is ${backup}.`
        : 'Nothing was written: add --write.'
  const sections = [diff, warnings.map((line) => `note  ${line}`).join('\n'), end]
    .filter((text) => text !== '')
    .map((text) => ({ kind: 'text' as const, text }))
  return { json: applied, sections }
}
