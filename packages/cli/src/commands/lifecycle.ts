/**
 * How a server command lives and ends. Owns three rules: the first SIGTERM or SIGINT closes
 * gracefully, the second ends the process at once, and a close that hangs ends after a limit.
 */
import { closeSync, writeSync } from 'node:fs'
import { LedgerError } from '@ringledger/base'
import type { Logger } from '../log.ts'

/** What a running server has to offer its command. */
export interface Closeable {
  close(): Promise<void>
}

/** Longest graceful close: leadership handed over, files synced. */
const CLOSE_LIMIT_MS = 15_000
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

/** Closes `server` on the first signal and exits at once on the second. */
export function closeOnSignals(server: Closeable, log: Logger): void {
  let closing = false
  const onSignal = (signal: keyof typeof SIGNAL_EXIT_CODES): void => {
    if (closing) {
      log.warn({}, `second signal: ending without closing`)
      process.exit(SIGNAL_EXIT_CODES[signal])
    }
    closing = true
    log.info({ signal }, 'closing; a second signal ends at once')
    const limit = setTimeout(() => {
      log.error({}, `not closed after ${CLOSE_LIMIT_MS / 1000} s: ending without it`)
      process.exit(1)
    }, CLOSE_LIMIT_MS)
    limit.unref()
    server.close().then(
      () => {
        log.info({}, 'closed')
        process.exit(0)
      },
      (error: unknown) => {
        log.error({ err: error }, 'closing failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}

/**
 * Tells the starter (the quick start, a supervisor) that a step was reached: a line on the
 * descriptor that RINGLEDGER_READY_FD names. Does nothing without it.
 */
export function announce(step: 'listening' | 'serving'): void {
  const descriptor = Number(process.env.RINGLEDGER_READY_FD ?? '')
  if (!Number.isInteger(descriptor) || descriptor < 3) return
  try {
    writeSync(descriptor, `${step}\n`)
    if (step === 'serving') closeSync(descriptor)
  } catch (error) {
    // The starter went away; the server goes on.
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'EPIPE' && code !== 'EBADF') throw error
  }
}

/**
 * Exit code of a command that could not start; the reason goes to stderr, one line for known
 * errors.
 */
export function sayFailure(command: string, error: unknown): number {
  const known = error instanceof LedgerError
  const text = known ? error.message : error instanceof Error ? error.stack : String(error)
  for (const line of String(text).split('\n')) process.stderr.write(`${command}: ${line}\n`)
  return 1
}
