import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PublishedTopic } from './core-port-api.ts'
import { TopicTable } from './topic-table.ts'

function topic(name: string, queueSlotBase: number, queueCount: number): PublishedTopic {
  return {
    topic: name,
    queueSlotBase,
    queueCount,
    readQueueNums: queueCount,
    writeQueueNums: queueCount,
    perm: 6,
    fast: true,
  }
}

test('a topic is found by its bytes within a longer buffer, and only whole', () => {
  const table = new TopicTable()
  table.put(topic('orders', 0, 4))
  table.put(topic('orders2', 4, 4))
  const bytes = Buffer.from('..orders2..')
  assert.equal(table.find(bytes, 2, 9)?.name, 'orders2')
  assert.equal(table.find(bytes, 2, 8)?.name, 'orders')
  assert.equal(table.find(bytes, 2, 7), undefined)
  table.remove('orders')
  assert.equal(table.find(bytes, 2, 8), undefined)
})

test('offsets are handed out one by one per queue', () => {
  const table = new TopicTable()
  table.put(topic('t', 10, 2))
  table.setNextOffset(11, 40)
  assert.deepEqual([table.takeOffset(10), table.takeOffset(11), table.takeOffset(11)], [0, 40, 41])
})

test('a topic that grows keeps what was handed out under its old slots', () => {
  const table = new TopicTable()
  table.put(topic('t', 0, 2))
  table.takeOffset(1)
  table.takeOffset(1)
  table.put({ ...topic('t', 5000, 4), nextOffsets: [7, 1, 0, 0] })
  assert.equal(table.takeOffset(5000), 7)
  assert.equal(table.takeOffset(5001), 2)
  assert.equal(table.takeOffset(5003), 0)
})

test('a change without new slots leaves the offsets alone', () => {
  const table = new TopicTable()
  table.put(topic('t', 0, 2))
  table.takeOffset(0)
  table.put({ ...topic('t', 0, 2), perm: 4 })
  assert.equal(table.takeOffset(0), 1)
  assert.equal(table.find(Buffer.from('t'), 0, 1)?.perm, 4)
})

test('a topic that shrank and grows again keeps what was handed out for the queues it had lost', () => {
  const table = new TopicTable()
  table.put(topic('t', 0, 4))
  for (let taken = 0; taken < 5; taken++) table.takeOffset(3)
  table.put(topic('t', 0, 2))
  // Offset 4 of queue 3 lies behind both changes in the log: the broker thread has not seen it.
  table.put({ ...topic('t', 100, 8), nextOffsets: [0, 0, 0, 4, 0, 0, 0, 0] })
  assert.equal(table.takeOffset(103), 5)
})
