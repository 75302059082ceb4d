/** What a real Java client sees of a store after its broker was replaced by another one. */
import assert from 'node:assert/strict'
import type { ClientDriver } from '../harness/client-driver.ts'
import { newName } from '../harness/client-test.ts'
import { allOf, type BrokerContent, type Content } from './broker-content.ts'
import { consume, type Written } from './workload.ts'

/** So many of a topic are looked up by id and key. */
const LOOKED_UP = 3

/**
 * The client gets every message of the topic that the group has read halfway, and the group gets
 * the rest of it: what it did not get before.
 */
export async function assertGoesOn(
  driver: ClientDriver,
  { sent, halfway }: Written,
  content: BrokerContent,
): Promise<void> {
  const { topic, group, got } = halfway
  const all: Content[] = allOf(content).filter((message) => message.topic === topic)
  const before = driver.deliveries.length
  await driver.call('pull', { topic, group: newName('puller') })
  assert.deepEqual(
    driver.deliveries
      .slice(before)
      .map(({ queue, offset, key, storedMs }) => [queue, offset, key, storedMs]),
    all.map(({ queueId, queueOffset, properties, storeTimestampMs }) => [
      queueId,
      queueOffset,
      properties.get('KEYS'),
      storeTimestampMs,
    ]),
  )
  const rest = await consume(driver, topic, group, all.length - got.size)
  assert.equal(rest.size + got.size, all.length)
  assert.deepEqual(
    [...got].filter((place) => rest.has(place)),
    [],
  )
  for (const { key, messageId } of sent.get(topic)?.slice(0, LOOKED_UP) ?? []) {
    assert.equal((await driver.call('view', { topic, messageId })).key, key)
    assert.equal((await driver.call('query', { topic, key })).key, key)
  }
}
