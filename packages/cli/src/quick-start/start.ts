/** Starting a cluster or one of its members, and knowing when it is ready. */
import { LedgerError } from '@ringledger/base'
import {
  createTryTopic,
  isComplete,
  type Registrations,
  waitForRegistrations,
} from './cluster-view.ts'
import { writeConfigFiles } from './config-files.ts'
import { type ClusterLayout, HOST, type Member, members, readChoices } from './layout.ts'
import { checkChoices, checkPorts, checkWritable } from './preflight.ts'
import { logTail, runningPid, type StartedProcess, startProcess } from './processes.ts'
import type { Say } from './say.ts'

const READY_LIMIT_MS = 30_000
const LOG_LINES = 15

/**
 * Starts everything. @throws LedgerError with the reason and the way out; what was started then
 * still runs.
 */
export async function startCluster(layout: ClusterLayout, say: Say): Promise<void> {
  checkChoices(layout, readChoices(layout.directory))
  const running = members(layout).filter((member) => runningPid(member) !== undefined)
  if (running.length === members(layout).length) {
    say.line('The cluster runs already.')
    return
  }
  if (running.length > 0) throw halfStopped(layout, running, say)
  checkWritable(layout.directory)
  await checkPorts(layout)
  writeConfigFiles(layout)
  say.step(`name server on ${HOST}:${layout.nameServer.port}`)
  await startListening(layout.nameServer)
  say.step(`${layout.nodes === 1 ? 'one broker' : `${layout.nodes} brokers`} of one Raft group`)
  const known = await startBrokers(layout, layout.brokers, (now) => isComplete(layout, now))
  say.step('topic to try')
  await makeTryTopic(leaderOf(known), say)
}

/** The cluster is worth seeing without it: the first message makes the topic as well. */
async function makeTryTopic(leader: string, say: Say): Promise<void> {
  try {
    await createTryTopic(leader)
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error
    say.line(`  the topic could not be made (${error.message}); the first message will make it`)
  }
}

/**
 * Starts one member that does not run. False: it listens, but with it there is no majority yet, so
 * nobody can lead.
 */
export async function startMember(layout: ClusterLayout, member: Member): Promise<boolean> {
  if (member.peerPort === undefined) {
    await startListening(member)
    return true
  }
  const running = layout.brokers.filter((broker) => runningPid(broker) !== undefined).length
  if ((running + 1) * 2 <= layout.brokers.length) {
    await startListening(member)
    return false
  }
  const address = `${HOST}:${member.port}`
  await startBrokers(layout, [member], (known) => known.has(address))
  return true
}

function halfStopped(layout: ClusterLayout, running: readonly Member[], say: Say): LedgerError {
  const dead = members(layout).filter((member) => !running.includes(member))
  const names = (list: readonly Member[]): string => list.map(({ id }) => id).join(', ')
  const ways = [
    `${say.command(`restart ${dead[0]!.id}`)}   brings one back`,
    `${say.command('stop')}   ends the rest; then start again`,
    `${say.command('clean')}   ends the rest and deletes the data`,
  ]
  const what = `an earlier cluster is half stopped: ${names(running)} run, ${names(dead)} do not`
  return new LedgerError('BAD_REQUEST', `${what}\n  ${ways.join('\n  ')}`)
}

async function startListening(member: Member): Promise<void> {
  const started = startProcess(member)
  const listens = await started.reached('listening')
  started.release()
  if (!listens) throw ended(member)
}

async function startBrokers(
  layout: ClusterLayout,
  brokers: readonly Member[],
  accept: (known: Registrations) => boolean,
): Promise<Registrations> {
  const started = brokers.map(startProcess)
  let dead: Member | undefined
  for (const { member, reached } of started) {
    void reached('listening').then((listens) => {
      if (!listens) dead ??= member
    })
  }
  try {
    await firstSteps(started)
    const stopEarly = (): boolean => dead !== undefined
    const { known, accepted } = await waitForRegistrations(
      layout,
      accept,
      READY_LIMIT_MS,
      stopEarly,
    )
    if (accepted) return known
    if (dead !== undefined) throw ended(dead)
    throw notReady(layout, known)
  } finally {
    for (const process of started) process.release()
  }
}

/** Nobody registers before it listens, so the name server need not be asked earlier. */
async function firstSteps(started: readonly StartedProcess[]): Promise<void> {
  await Promise.all(started.map(({ reached }) => reached('listening')))
}

function ended(member: Member): LedgerError {
  const log = logTail(member, LOG_LINES).replace(/^/gm, '    ')
  const text = `${member.id} ended while it started. The end of ${member.logPath}:\n${log}`
  return new LedgerError('CLOSED', text)
}

function notReady(layout: ClusterLayout, known: Registrations): LedgerError {
  const missing = layout.brokers.filter(({ port }) => !known.has(`${HOST}:${port}`))
  const leader = [...known.values()].includes(0) ? '' : '; no broker leads'
  const names = missing.map(({ id }) => id).join(', ') || 'nobody'
  const logs = layout.brokers.map(({ logPath }) => `    ${logPath}`).join('\n')
  const what = `not ready after ${READY_LIMIT_MS / 1_000} s: missing at the name server: ${names}`
  return new LedgerError('TIMEOUT', `${what}${leader}. Logs:\n${logs}`)
}

function leaderOf(known: Registrations): string {
  for (const [address, id] of known) if (id === 0) return address
  throw new LedgerError('BAD_REQUEST', 'no broker leads')
}
