/** Points in time on the command line and in tables, in local time as Apache's tools show them. */
import { UsageError } from './errors.ts'

const CALENDAR = /^(\d{4})-(\d{2})-(\d{2})#(\d{2}):(\d{2}):(\d{2}):(\d{3})$/

/**
 * Milliseconds since the epoch from a number of them or `yyyy-MM-dd#HH:mm:ss:SSS`.
 * @throws UsageError
 */
export function parseTime(text: string): number {
  if (/^\d{1,16}$/.test(text)) return Number(text)
  const parts = CALENDAR.exec(text)?.slice(1).map(Number)
  const [year = 0, month = 0, day = 0, hours = 0, minutes = 0, seconds = 0, ms = 0] = parts ?? []
  const date = new Date(year, month - 1, day, hours, minutes, seconds, ms)
  const exists = date.getMonth() === month - 1 && date.getDate() === day && hours < 24
  if (parts === undefined || !exists) {
    throw new UsageError(`'${text}' is no time: use milliseconds or yyyy-MM-dd#HH:mm:ss:SSS`)
  }
  return date.getTime()
}

/** `yyyy-MM-dd HH:mm:ss.SSS` in local time; undefined for 0 and less, which mean "never". */
export function formatTime(timestampMs: number): string | undefined {
  if (!(timestampMs > 0)) return undefined
  const date = new Date(timestampMs)
  if (Number.isNaN(date.getTime())) return undefined
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, '0')}`
}
