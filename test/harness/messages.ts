/** What clients tell about messages, and the promises that are checked on it. */
import assert from 'node:assert/strict'

/** A message that a producer got an acknowledgement for. */
export interface Sent {
  readonly topic: string
  readonly key: string
  readonly queue: number
  readonly offset: number
  /** Unique key, made by the client. */
  readonly messageId: string
  /** Address and position, made by the broker. */
  readonly offsetMessageId: string
}

/** A message as a consumer got it, once for every time. */
export interface Delivery {
  readonly member: string
  readonly topic: string
  /** The topic that was read: the retry topic for a message that came back. */
  readonly from: string
  readonly queue: number
  readonly offset: number
  readonly key: string
  readonly tag: string
  /** How often it was consumed before. */
  readonly times: number
  readonly bornMs: number
  readonly storedMs: number
}

/** Deliveries by key, in the order in which they came. */
export function byKey(deliveries: readonly Delivery[]): Map<string, Delivery[]> {
  return Map.groupBy(deliveries, ({ key }) => key)
}

/** Every one was delivered, and none twice. */
export function assertExactlyOnce(deliveries: readonly Delivery[], sent: readonly Sent[]): void {
  assertNoneLost(deliveries, sent)
  const repeated = [...byKey(deliveries)].filter(([, times]) => times.length > 1)
  assert.deepEqual(
    repeated.slice(0, 5).map(([, times]) => times),
    [],
    `${repeated.length} were delivered more than once`,
  )
}

/** Every acknowledged message was delivered as it was acknowledged. */
export function assertNoneLost(deliveries: readonly Delivery[], sent: readonly Sent[]): void {
  const places = new Set(deliveries.map(({ key, queue, offset }) => `${key} ${queue} ${offset}`))
  const lost = sent.filter(({ key, queue, offset }) => !places.has(`${key} ${queue} ${offset}`))
  const wanted = new Set(sent.map(({ key }) => key))
  const others = deliveries.filter(({ key }) => !wanted.has(key))
  assert.deepEqual(
    lost.slice(0, 5),
    [],
    `${lost.length} of ${sent.length} acknowledged were lost; ${deliveries.length} deliveries, ` +
      `${others.length} of others: ${others.slice(0, 5).map(({ key }) => key)}`,
  )
}

/**
 * Per queue, what is new comes in the order of the log: a repeat may follow, nothing is skipped.
 */
export function assertOrdered(deliveries: readonly Delivery[]): void {
  const next = new Map<number, number>()
  for (const { queue, offset, key, member } of deliveries) {
    const expected = next.get(queue) ?? offset
    assert.ok(
      offset <= expected,
      `queue ${queue}: ${member} got ${key} at ${offset} before ${expected} was consumed`,
    )
    if (offset === expected) next.set(queue, offset + 1)
  }
}
