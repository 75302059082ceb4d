/** Stopping, killing and removing a cluster. */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { type ClusterLayout, type Member, markerPath, members } from './layout.ts'
import { signalMember, waitGone } from './processes.ts'

const CLOSE_LIMIT_MS = 20_000
const KILL_LIMIT_MS = 5_000

/** Ends brokers, then the name server; returns how many had run. */
export async function stopCluster(layout: ClusterLayout): Promise<number> {
  const stopped = await Promise.all(layout.brokers.map(stopMember))
  stopped.push(await stopMember(layout.nameServer))
  return stopped.filter(Boolean).length
}

/** SIGTERM, and SIGKILL for one that does not end; true when it had run. */
export async function stopMember(member: Member): Promise<boolean> {
  if (!signalMember(member, 'SIGTERM')) return false
  if (!(await waitGone(member, CLOSE_LIMIT_MS))) await killMember(member)
  return true
}

/** `kill -9`; true when it had run. */
export async function killMember(member: Member): Promise<boolean> {
  if (!signalMember(member, 'SIGKILL')) return false
  if (await waitGone(member, KILL_LIMIT_MS)) return true
  throw new LedgerError('TIMEOUT', `${member.id} does not end after kill -9; is its disk stuck?`)
}

/** Deletes what the quick start made, and nothing else that may lie in the directory. */
export function removeData(layout: ClusterLayout): void {
  const own = ['store', 'logs', 'run', 'namesrv'].map((name) => join(layout.directory, name))
  const files = members(layout).map(({ configPath }) => configPath)
  for (const path of [...own, ...files]) rmSync(path, { recursive: true, force: true })
  // Last, so that a clean that was interrupted can be repeated.
  rmSync(markerPath(layout.directory), { force: true })
  if (existsSync(layout.directory) && readdirSync(layout.directory).length === 0) {
    rmdirSync(layout.directory)
  }
}
