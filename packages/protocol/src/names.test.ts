import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  dlqTopicOf,
  groupNameProblem,
  groupOfRetryOrDlqTopic,
  isDlqTopic,
  isForbiddenToSend,
  isInherited,
  isReadable,
  isRetryTopic,
  isSystemTopic,
  isWriteable,
  retryTopicOf,
  SystemTopic,
  topicNameProblem,
} from './names.ts'

test('topic names have the characters and lengths RocketMQ allows', () => {
  for (const topic of ['T', 'a-b_c|d%e', '%RETRY%g', 't'.repeat(127), `%DLQ%${'g'.repeat(250)}`]) {
    assert.equal(topicNameProblem(topic), undefined, topic)
  }
  for (const topic of ['', ' ', 'a b', 'a.b', 'é', 'a/b', '../x', 't'.repeat(128)]) {
    assert.match(topicNameProblem(topic) ?? '', /topic/, topic)
  }
  assert.match(topicNameProblem(retryTopicOf('g'.repeat(250))) ?? '', /longer than 255/)
})

test('group names likewise', () => {
  assert.equal(groupNameProblem('GID_a-1'), undefined)
  for (const group of ['', 'a b', 'g'.repeat(121)])
    assert.match(groupNameProblem(group) ?? '', /group/)
})

test('retry and dead-letter topics name their group', () => {
  assert.equal(retryTopicOf('g'), '%RETRY%g')
  assert.equal(dlqTopicOf('g'), '%DLQ%g')
  assert.ok(isRetryTopic('%RETRY%g') && !isRetryTopic('%DLQ%g'))
  assert.ok(isDlqTopic('%DLQ%g') && !isDlqTopic('DLQ'))
  assert.equal(groupOfRetryOrDlqTopic('%RETRY%g'), 'g')
  assert.equal(groupOfRetryOrDlqTopic('%DLQ%g'), 'g')
  assert.equal(groupOfRetryOrDlqTopic('g'), undefined)
})

test('system topics are known, and those only the broker writes', () => {
  assert.ok(isSystemTopic('TBW102') && isSystemTopic('rmq_sys_REVIVE_LOG_c'))
  assert.ok(!isSystemTopic('orders'))
  assert.ok(isForbiddenToSend(SystemTopic.SCHEDULE) && isForbiddenToSend(SystemTopic.STATE))
  assert.ok(!isForbiddenToSend('TBW102') && !isForbiddenToSend(SystemTopic.TRACE))
})

test('permissions', () => {
  assert.deepEqual([isReadable(4), isWriteable(4), isInherited(4)], [true, false, false])
  assert.deepEqual([isReadable(3), isWriteable(3), isInherited(3)], [false, true, true])
})
