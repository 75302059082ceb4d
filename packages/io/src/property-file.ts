/**
 * Apache DLedger's small text files, `key=value` lines in a fixed order. Ours is never the truth:
 * they let Apache open the store, and give us the values of a store that Apache wrote. Replaced by
 * a synced temporary file and a rename, so that a reader finds the old text or the new one.
 */
import { dirname } from 'node:path'
import { type Disk, OpenMode } from './disk.ts'

const MAX_TEXT_BYTES = 4096

/** The keys and values, or undefined when there is no such file. */
export function readPropertyFile(disk: Disk, path: string): Map<string, string> | undefined {
  if (!disk.exists(path)) return undefined
  const file = disk.open(path, OpenMode.READ)
  const bytes = Buffer.alloc(MAX_TEXT_BYTES)
  const size = file.readAt(bytes, 0, MAX_TEXT_BYTES, 0)
  file.close()
  const values = new Map<string, string>()
  for (const line of bytes.toString('utf8', 0, size).split('\n')) {
    const equals = line.indexOf('=')
    if (equals > 0) values.set(line.slice(0, equals).trim(), line.slice(equals + 1).trim())
  }
  return values
}

/** Durable on return. */
export function writePropertyFile(
  disk: Disk,
  path: string,
  entries: readonly (readonly [string, string])[],
): void {
  const temporary = `${path}.tmp`
  if (disk.exists(temporary)) disk.remove(temporary)
  const bytes = Buffer.from(entries.map(([key, value]) => `${key}=${value}\n`).join(''), 'utf8')
  const file = disk.open(temporary, OpenMode.CREATE)
  try {
    file.writeAt(bytes, 0, bytes.length, 0)
    file.syncMetadata()
  } finally {
    file.close()
  }
  disk.rename(temporary, path)
  disk.syncDirectory(dirname(path))
}

/** The value as a whole number from 0 to 2^53 - 1, else undefined. */
export function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}
