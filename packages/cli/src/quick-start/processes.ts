/**
 * The processes of a quick-start cluster. Owns the rule that only processes which we started are
 * ever signalled: a pid file holds the start time as well, since the system hands out numbers
 * again.
 */
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Member } from './layout.ts'

/** The descriptor on which a started command tells its steps (commands/lifecycle.ts). */
const READY_DESCRIPTOR = 3
const GONE_CHECK_MS = 20

interface PidFile {
  readonly pid: number
  readonly started: string
}

/** What tells this process from a later one with the same number; undefined when there is none. */
export function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // Fields 3 (state) and 22 (start, in clock ticks since boot) of proc(5).
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fields[19]}`
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && process.platform === 'linux') {
      return undefined
    }
  }
  const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' })
  return stdout?.trim() || undefined
}

/** The process of a member while it runs. */
export function runningPid(member: Member): number | undefined {
  try {
    const { pid, started } = JSON.parse(readFileSync(member.pidPath, 'utf8')) as PidFile
    return processStart(pid) === started ? pid : undefined
  } catch {
    return undefined
  }
}

export interface StartedProcess {
  readonly member: Member
  readonly pid: number
  /** Resolves at the step, or when the process ended before it. */
  reached(step: 'listening' | 'serving'): Promise<boolean>
  /** Stops watching; the process goes on by itself. */
  release(): void
}

/**
 * Starts a member's command detached from this process and its terminal; output goes to its log
 * file.
 */
export function startProcess(member: Member): StartedProcess {
  const command = member.peerPort === undefined ? 'mqnamesrv' : 'mqbroker'
  const bin = fileURLToPath(new URL(`../../bin/${command}.mjs`, import.meta.url))
  mkdirSync(dirname(member.logPath), { recursive: true })
  const log = openSync(member.logPath, 'a')
  const child = spawn(process.execPath, [bin, '-c', member.configPath], {
    cwd: dirname(member.configPath),
    detached: true,
    stdio: ['ignore', log, log, 'pipe'],
    env: { ...process.env, RINGLEDGER_READY_FD: String(READY_DESCRIPTOR) },
  })
  closeSync(log)
  const pid = child.pid
  if (pid === undefined) throw new Error(`cannot start ${process.execPath}`)
  const pidFile: PidFile = { pid, started: processStart(pid) ?? '' }
  writeFileSync(member.pidPath, JSON.stringify(pidFile))
  const ready = child.stdio[READY_DESCRIPTOR] as Readable
  return {
    member,
    pid,
    reached: watchSteps(ready),
    release() {
      ready.destroy()
      child.unref()
    },
  }
}

/** The command closes the descriptor when it ends, by whatever death, and after its last step. */
function watchSteps(ready: Readable): StartedProcess['reached'] {
  let seen = ''
  let ended = false
  let waiting: (() => void)[] = []
  const wake = (): void => {
    const before = waiting
    waiting = []
    for (const look of before) look()
  }
  ready.setEncoding('utf8')
  ready.on('data', (text: string) => {
    seen += text
    wake()
  })
  ready.on('close', () => {
    ended = true
    wake()
  })
  return (step) =>
    new Promise((resolve) => {
      const look = (): void => {
        if (seen.includes(`${step}\n`)) resolve(true)
        else if (ended) resolve(false)
        else waiting.push(look)
      }
      look()
    })
}

/** Sends a signal if the member runs; true when it did. */
export function signalMember(member: Member, signal: NodeJS.Signals): boolean {
  const pid = runningPid(member)
  if (pid === undefined) return false
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/**
 * Resolves with true when the member has ended, with false after the limit. It is not our child any
 * more, so there is no event to wait for: its entry in the process table is looked at until it is
 * gone.
 */
export function waitGone(member: Member, limitMs: number): Promise<boolean> {
  const endMs = performance.now() + limitMs
  return new Promise((resolve) => {
    const look = (): void => {
      if (runningPid(member) === undefined) {
        rmSync(member.pidPath, { force: true })
        resolve(true)
      } else if (performance.now() >= endMs) {
        resolve(false)
      } else {
        setTimeout(look, GONE_CHECK_MS)
      }
    }
    look()
  })
}

/** The last lines of a member's log. */
export function logTail(member: Member, lines: number): string {
  try {
    const all = readFileSync(member.logPath, 'utf8').trimEnd().split('\n')
    return all.slice(-lines).join('\n')
  } catch {
    return ''
  }
}
