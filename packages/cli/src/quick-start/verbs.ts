/** The verbs of `fast-try.sh`. Each returns the exit code. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { LedgerError } from '@ringledger/base'
import { isComplete, registrations, TRY_TOPIC } from './cluster-view.ts'
import {
  type ClusterLayout,
  HOST,
  type Member,
  members,
  nameServerAddress,
  readChoices,
} from './layout.ts'
import { printClusterTable } from './mqadmin-table.ts'
import { logTail, runningPid } from './processes.ts'
import type { Say } from './say.ts'
import { startCluster, startMember } from './start.ts'
import { killMember, removeData, stopCluster, stopMember } from './stop.ts'

/** A cluster that does not run or is not whole. */
const EXIT_NOT_RUNNING = 3
const LOG_LINES = 200

export async function start(layout: ClusterLayout, say: Say): Promise<number> {
  const startMs = performance.now()
  await startCluster(layout, say)
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
  say.line(`Ready in ${seconds} s. Data, logs and configuration: ${layout.directory}\n`)
  await printClusterTable(nameServerAddress(layout))
  sayWhatNext(layout, say)
  return 0
}

function sayWhatNext(layout: ClusterLayout, say: Say): void {
  const address = nameServerAddress(layout)
  const first = layout.brokers[0]!.id
  const commands: [string, string][] = [
    [`bin/mqadmin sendMessage -n ${address} -t ${TRY_TOPIC} -p hello`, 'write a message'],
    [`bin/mqadmin consumeMessage -n ${address} -t ${TRY_TOPIC}`, 'read it again'],
    [say.command('kill leader'), 'kill -9 the leader'],
    [say.command('status'), 'see who leads now'],
    [say.command(`restart ${first}`), 'start a killed node again'],
    [say.command('stop'), 'end it; "clean" also deletes the data'],
  ]
  const width = Math.max(...commands.map(([command]) => command.length))
  say.line('\nWhat to try next:')
  for (const [command, doc] of commands) say.line(`  ${command.padEnd(width)}  ${doc}`)
  say.line(`Any RocketMQ client works: name server ${address}, topic ${TRY_TOPIC}.`)
}

export async function status(layout: ClusterLayout, say: Say): Promise<number> {
  const all = members(layout)
  for (const member of all) {
    const pid = runningPid(member)
    const ports = member.peerPort === undefined ? '' : `  DLedger ${HOST}:${member.peerPort}`
    const state = pid === undefined ? 'does not run' : `pid ${pid}`
    say.line(`${member.id.padEnd(8)}${HOST}:${member.port}${ports}  ${state}`)
  }
  if (runningPid(layout.nameServer) === undefined) return EXIT_NOT_RUNNING
  say.line('')
  await printClusterTable(nameServerAddress(layout))
  const running = all.every((member) => runningPid(member) !== undefined)
  return running && isComplete(layout, await registrations(layout)) ? 0 : EXIT_NOT_RUNNING
}

export async function kill(layout: ClusterLayout, id: string, say: Say): Promise<number> {
  const member = memberOf(layout, await leaderName(layout, id))
  if (!(await killMember(member))) {
    say.line(`${member.id} does not run. Start it: ${say.command(`restart ${member.id}`)}`)
    return EXIT_NOT_RUNNING
  }
  say.line(`${member.id} killed (kill -9). See who leads now: ${say.command('status')}`)
  return 0
}

export async function restart(layout: ClusterLayout, id: string, say: Say): Promise<number> {
  requireCluster(layout, say)
  const member = memberOf(layout, id)
  const others = member.peerPort !== undefined && runningPid(layout.nameServer) === undefined
  if (others) {
    const way = say.command('restart namesrv')
    throw new LedgerError('BAD_REQUEST', `the name server does not run; first: ${way}`)
  }
  const startMs = performance.now()
  const ran = await stopMember(member)
  const joined = await startMember(layout, member)
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
  const waits = joined ? '' : '; it waits for a majority: restart another node, too'
  say.line(`${member.id} ${ran ? 'restarted' : 'started'} in ${seconds} s${waits}`)
  return 0
}

export async function logs(layout: ClusterLayout, id: string, follow: boolean): Promise<number> {
  const member = memberOf(layout, id)
  if (!existsSync(member.logPath)) {
    throw new LedgerError('BAD_REQUEST', `${member.id} has no log: ${member.logPath}`)
  }
  if (!follow) {
    process.stdout.write(`${logTail(member, LOG_LINES)}\n`)
    return 0
  }
  const args = ['-n', String(LOG_LINES), '-F', member.logPath]
  const tail = spawn('tail', args, { stdio: 'inherit' })
  return await new Promise((resolve, reject) => {
    tail.on('error', reject)
    tail.on('close', (code) => resolve(code ?? 0))
  })
}

export async function stop(layout: ClusterLayout, say: Say): Promise<number> {
  const count = await stopCluster(layout)
  const kept = 'The data stays; clean deletes it.'
  say.line(count === 0 ? `Nothing runs in ${layout.directory}.` : `Stopped. ${kept}`)
  return 0
}

export async function clean(layout: ClusterLayout, say: Say): Promise<number> {
  if (readChoices(layout.directory) === undefined) {
    say.line(`There is no cluster in ${layout.directory}.`)
    return 0
  }
  await stopCluster(layout)
  removeData(layout)
  say.line(`Stopped and removed ${layout.directory}.`)
  return 0
}

function requireCluster(layout: ClusterLayout, say: Say): void {
  if (readChoices(layout.directory) !== undefined) return
  const text = `there is no cluster in ${layout.directory}; first: ${say.command('start')}`
  throw new LedgerError('BAD_REQUEST', text)
}

function memberOf(layout: ClusterLayout, id: string): Member {
  const found = members(layout).find((member) => member.id === id)
  if (found !== undefined) return found
  const names = members(layout).map((member) => member.id)
  throw new LedgerError('BAD_REQUEST', `there is no ${id} here; there are ${names.join(', ')}`)
}

/** `leader` stands for the member that leads now. */
async function leaderName(layout: ClusterLayout, id: string): Promise<string> {
  if (id !== 'leader') return id
  for (const [address, brokerId] of await registrations(layout)) {
    const member = layout.brokers.find(({ port }) => address === `${HOST}:${port}`)
    if (brokerId === 0 && member !== undefined) return member.id
  }
  throw new LedgerError('BAD_REQUEST', 'no broker leads now')
}
