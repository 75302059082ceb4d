/**
 * Compact JSON for bodies (reference rocketmq-remoting.md §1.8): bigints as plain integers, integer
 * keys quoted, maps keyed by objects in fastjson's form, which Java peers expect for MessageQueue
 * keys.
 */
import { LedgerError } from '@ringledger/base'

/** A map whose keys are objects, written as `{{"a":1}:value,…}`. Make it with `objectKeyMap`. */
export class ObjectKeyMap {
  readonly entries: ReadonlyArray<readonly [key: object, value: unknown]>

  constructor(entries: Iterable<readonly [key: object, value: unknown]>) {
    this.entries = [...entries]
  }
}

/** For `stringifyJson`: a map keyed by objects (MessageQueue), as Java peers expect it. */
export function objectKeyMap(
  entries: Iterable<readonly [key: object, value: unknown]>,
): ObjectKeyMap {
  return new ObjectKeyMap(entries)
}

/** Deeper values are refused: they come from hostile input and would exhaust the stack. */
const MAX_DEPTH = 250

function membersText(members: Iterable<readonly [string, unknown]>, depth: number): string {
  let text = ''
  for (const [name, value] of members) {
    if (value === undefined) continue
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${valueText(value, depth)}`
  }
  return `{${text}}`
}

function objectKeyMapText(map: ObjectKeyMap, depth: number): string {
  const members = map.entries.map(([key, value]) => {
    const sorted = Object.entries(key).sort(([left], [right]) => (left < right ? -1 : 1))
    return `${membersText(sorted, depth)}:${valueText(value, depth)}`
  })
  return `{${members.join(',')}}`
}

function valueText(value: unknown, depth: number): string {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (depth === MAX_DEPTH) throw new LedgerError('BAD_REQUEST', 'JSON nested too deeply')
  if (Array.isArray(value)) return `[${value.map((item) => valueText(item, depth + 1)).join(',')}]`
  if (value instanceof ObjectKeyMap) return objectKeyMapText(value, depth + 1)
  if (value instanceof Map) {
    const members = Array.from(value, ([key, item]) => [String(key), item] as const)
    return membersText(members, depth + 1)
  }
  return membersText(Object.entries(value), depth + 1)
}

/**
 * Compact JSON: bigints as plain integers, `undefined` members left out, `Map` as object with
 * quoted keys, `ObjectKeyMap` in fastjson's form. Throws `BAD_REQUEST` when nested beyond reason.
 */
export function stringifyJson(value: unknown): string {
  return valueText(value, 0)
}
