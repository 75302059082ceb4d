/**
 * The KV configuration: namespace → key → value, kept in one JSON file that Apache's name server
 * reads and writes too. Owns two invariants: a change is answered only after it is durable, and a
 * change that cannot be stored changes nothing in memory either.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { LedgerError } from '@ringledger/base'
import { onDisk, replaceFile } from '@ringledger/base/internal'
import { parseLenientJson } from '@ringledger/protocol'

/** Order topics: topic → `brokerA:4;brokerB:4`. */
export const ORDER_TOPIC_NAMESPACE = 'ORDER_TOPIC_CONFIG'

/** Characters of all namespaces, keys and values together. */
const MAX_TABLE_CHARACTERS = 4 * 1024 * 1024

type Table = Map<string, Map<string, string>>

export class KvConfig {
  readonly #path: string | undefined
  #table: Table
  #characters: number

  private constructor(path: string | undefined, table: Table) {
    this.#path = path
    this.#table = table
    this.#characters = countCharacters(table)
  }

  /**
   * Opens the table; a missing file is an empty table, no path keeps it in memory only.
   * @throws LedgerError CORRUPT when the file is not what a name server wrote.
   */
  static open(path: string | undefined): KvConfig {
    if (path === undefined) return new KvConfig(undefined, new Map())
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new KvConfig(path, new Map())
      throw error
    }
    return new KvConfig(path, readTable(text, path))
  }

  get(namespace: string, key: string): string | undefined {
    return this.#table.get(namespace)?.get(key)
  }

  /** The keys of a namespace, or undefined when there is none of that name. */
  list(namespace: string): ReadonlyMap<string, string> | undefined {
    return this.#table.get(namespace)
  }

  /**
   * @throws LedgerError TOO_LARGE when the table is full, DISK_FULL or DISK_FAILED when it cannot
   *   be stored
   */
  put(namespace: string, key: string, value: string): void {
    const before = this.get(namespace, key)
    if (before === value) return
    const grownBy = namespace.length + key.length + value.length - (before?.length ?? 0)
    if (this.#characters + grownBy > MAX_TABLE_CHARACTERS) {
      throw new LedgerError('TOO_LARGE', 'the KV configuration is full')
    }
    const changed = new Map(this.#table)
    changed.set(namespace, new Map(changed.get(namespace)).set(key, value))
    this.#replace(changed)
  }

  /**
   * Removes a key; the namespace stays. An absent key is no error. @throws LedgerError DISK_FULL,
   * DISK_FAILED
   */
  delete(namespace: string, key: string): void {
    const keys = this.#table.get(namespace)
    if (keys === undefined || !keys.has(key)) return
    const remaining = new Map(keys)
    remaining.delete(key)
    this.#replace(new Map(this.#table).set(namespace, remaining))
  }

  #replace(table: Table): void {
    if (this.#path !== undefined) replaceText(this.#path, formatTable(table))
    this.#table = table
    this.#characters = countCharacters(table)
  }
}

function countCharacters(table: Table): number {
  let characters = 0
  for (const [namespace, keys] of table) {
    characters += namespace.length
    for (const [key, value] of keys) characters += key.length + value.length
  }
  return characters
}

function formatTable(table: Table): string {
  const namespaces = [...table].map(([name, keys]) => [name, Object.fromEntries(keys)])
  return JSON.stringify({ configTable: Object.fromEntries(namespaces) })
}

function readTable(text: string, path: string): Table {
  const table: Table = new Map()
  if (text.trim() === '') return table
  let parsed: unknown
  try {
    parsed = parseLenientJson(text)
  } catch (error) {
    throw new LedgerError('CORRUPT', `${path} is no KV configuration: ${(error as Error).message}`)
  }
  const namespaces = (parsed as { configTable?: unknown } | null)?.configTable ?? {}
  for (const [namespace, keys] of Object.entries(namespaces)) {
    const values = new Map<string, string>()
    for (const [key, value] of Object.entries((keys ?? {}) as object)) {
      if (typeof value !== 'string') {
        throw new LedgerError('CORRUPT', `${path}: the value of ${namespace}/${key} is no text`)
      }
      values.set(key, value)
    }
    table.set(namespace, values)
  }
  return table
}

/**
 * The file's new text, durable on return; its directory is made when it is not there.
 * @throws LedgerError DISK_FULL, DISK_FAILED
 */
export function replaceText(path: string, text: string): void {
  onDisk(`write of ${path}`, () => mkdirSync(dirname(path), { recursive: true }))
  replaceFile(path, Buffer.from(text))
}
