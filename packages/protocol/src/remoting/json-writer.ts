/**
 * Compact JSON for bodies (reference rocketmq-remoting.md §1.8): bigints as plain integers, integer
 * keys quoted, maps keyed by objects in fastjson's form, which Java peers expect for MessageQueue
 * keys.
 */

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

function stringifyMembers(members: Iterable<readonly [string, unknown]>): string {
  let text = ''
  for (const [name, value] of members) {
    if (value === undefined) continue
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${stringifyJson(value)}`
  }
  return `{${text}}`
}

function stringifyObjectKeyMap(map: ObjectKeyMap): string {
  const members = map.entries.map(([key, value]) => {
    const sorted = Object.entries(key).sort(([left], [right]) => (left < right ? -1 : 1))
    return `${stringifyMembers(sorted)}:${stringifyJson(value)}`
  })
  return `{${members.join(',')}}`
}

/**
 * Compact JSON: bigints as plain integers, `undefined` members left out, `Map` as object with
 * quoted keys, `ObjectKeyMap` in fastjson's form.
 */
export function stringifyJson(value: unknown): string {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(stringifyJson).join(',')}]`
  if (value instanceof ObjectKeyMap) return stringifyObjectKeyMap(value)
  if (value instanceof Map) {
    const members = Array.from(value, ([key, item]) => [String(key), item] as const)
    return stringifyMembers(members)
  }
  return stringifyMembers(Object.entries(value))
}
