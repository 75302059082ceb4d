/** What the system says about a process's memory and time; Linux only. */
import { readFileSync } from 'node:fs'

export const NO_PROC: string | false =
  process.platform === 'linux' ? false : 'needs the /proc of Linux'

const KIB = 1024

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * KIB
}
