/**
 * The log of a command, on its main thread only. One line an event for people; RINGLEDGER_LOG=json
 * gives pino's JSON lines for collectors.
 */
import { writeSync } from 'node:fs'
import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

const LEVEL_NAMES: Readonly<Record<number, string>> = {
  20: 'DEBUG',
  30: 'INFO ',
  40: 'WARN ',
  50: 'ERROR',
  60: 'FATAL',
}
const STDOUT = 1

/** A log to stdout. */
export function openLog(): Logger {
  if (process.env.RINGLEDGER_LOG === 'json') return pino(pino.destination({ dest: 1, sync: true }))
  return pino({ base: null }, { write: (line) => writeFully(formatLine(line)) })
}

/** `2026-11-23 06:18:00.123 INFO  message key=value`, from one of pino's JSON lines. */
export function formatLine(line: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
  const stamp = new Date(Number(time)).toISOString().replace('T', ' ').replace('Z', '')
  const text = [stamp, LEVEL_NAMES[Number(level)] ?? String(level), String(msg ?? '')]
  for (const [key, value] of Object.entries(fields)) {
    text.push(`${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  }
  const stack = (err as { stack?: string } | undefined)?.stack
  return `${text.join(' ')}\n${stack === undefined ? '' : `${stack}\n`}`
}

/** A reader that went away (a closed pipe) does not stop a broker. */
function writeFully(text: string): void {
  try {
    writeSync(STDOUT, text)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== 'EPIPE' && code !== 'EAGAIN') throw error
  }
}
