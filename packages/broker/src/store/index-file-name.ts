/**
 * Names of index files: their creation time `yyyyMMddHHmmssSSS` in local time, as Apache's; a later
 * file has a larger name.
 */

export function isIndexFileName(name: string): boolean {
  return /^\d{17}$/.test(name)
}

function nameOfTime(timeMs: number): string {
  const time = new Date(timeMs)
  const parts: [value: number, digits: number][] = [
    [time.getFullYear(), 4],
    [time.getMonth() + 1, 2],
    [time.getDate(), 2],
    [time.getHours(), 2],
    [time.getMinutes(), 2],
    [time.getSeconds(), 2],
    [time.getMilliseconds(), 3],
  ]
  return parts.map(([value, digits]) => String(value).padStart(digits, '0')).join('')
}

/** A name for a file made now that sorts behind `latest`, even when the clock went back. */
export function nextIndexFileName(nowMs: number, latest: string | undefined): string {
  const name = nameOfTime(nowMs)
  if (latest === undefined || name > latest) return name
  const digits = BigInt(latest) + 1n
  return String(digits).padStart(17, '0')
}
