import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { RequestCode, ResponseCode } from '@ringledger/protocol'
import { TestBroker } from '../broker-agent-fake.ts'

const ELECT = RequestCode.CONTROLLER_ELECT_MASTER
const METADATA = RequestCode.CONTROLLER_GET_METADATA_INFO

/** n0, which leads term 1. */
function leader(t: TestContext): TestBroker {
  const broker = new TestBroker({}).lead()
  t.after(() => broker.close())
  return broker
}

function follow(broker: TestBroker, leaderId: string): void {
  broker.port.deliver((events) => events.onRole('follower', 2, leaderId, 0))
  broker.run()
}

test('leadership is handed to the follower that is named, and the answer says it took it', (t) => {
  const broker = leader(t)
  const opaque = broker.post({ code: ELECT, ext: { brokerId: '2', clusterName: '' } })
  broker.run()
  assert.deepEqual(broker.port.transfers, [2])
  broker.port.endTransfer(true, 'n1 campaigns in term 2')
  follow(broker, '')
  assert.equal(broker.answerTo(opaque), undefined)
  follow(broker, 'n1')
  const answer = broker.answerTo(opaque)
  assert.equal(answer?.code, ResponseCode.SUCCESS)
  assert.deepEqual([answer?.ext.masterBrokerId, answer?.ext.masterEpoch], ['2', '2'])
})

test('a transfer that fails is answered with its reason, and one at a time is tried', (t) => {
  const broker = leader(t)
  const opaque = broker.post({ code: ELECT, ext: { brokerId: '2' } })
  broker.run()
  const second = broker.request({ code: ELECT, ext: { brokerId: '3' } })
  assert.equal(second?.code, ResponseCode.CONTROLLER_ELECT_MASTER_FAILED)
  broker.port.endTransfer(false, 'n1 is not connected')
  broker.run()
  const answer = broker.answerTo(opaque)
  assert.equal(answer?.code, ResponseCode.CONTROLLER_ELECT_MASTER_FAILED)
  assert.match(answer?.remark ?? '', /not handed over: n1 is not connected/)
})

test('another than the wanted leader, or none at all, is a failure', (t) => {
  const broker = leader(t)
  const wanted = broker.post({ code: ELECT, ext: { brokerId: '2' } })
  broker.run()
  follow(broker, 'n2')
  assert.match(broker.answerTo(wanted)?.remark ?? '', /n2 leads now, which was not wanted/)
  broker.lead(3)
  const unseen = broker.post({ code: ELECT })
  broker.run()
  assert.equal(broker.port.transfers.at(-1), -1, 'any follower')
  broker.advance(3_000)
  assert.match(broker.answerTo(unseen)?.remark ?? '', /no leader was seen/)
})

test('who leads already is success, and only the leader of the right group is asked', (t) => {
  const broker = leader(t)
  for (const brokerId of ['0', '1']) {
    assert.equal(broker.request({ code: ELECT, ext: { brokerId } })?.code, ResponseCode.SUCCESS)
  }
  for (const ext of [{ brokerName: 'other' }, { clusterName: 'other' }]) {
    const answer = broker.request({ code: ELECT, ext: { ...ext, brokerId: '2' } })
    assert.equal(answer?.code, ResponseCode.CONTROLLER_BROKER_METADATA_NOT_EXIST)
  }
  assert.equal(broker.request({ code: METADATA })?.ext.isLeader, 'true')
  follow(broker, 'n1')
  for (const code of [ELECT, METADATA]) {
    const answer = broker.request({ code, ext: { brokerId: '2' } })
    assert.equal(answer?.code, ResponseCode.CONTROLLER_NOT_LEADER)
    assert.match(answer?.remark ?? '', /n1/)
  }
  assert.deepEqual(broker.port.transfers, [])
})
