import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { FakeClock, LedgerError } from '@ringledger/base'
import fc from 'fast-check'
import { type NameServerSettings, nameServerSettings } from './config.ts'
import type { Registration, TopicQueues } from './registration.ts'
import { brokerMemberGroup, clusterInfo, routeOf, topicsByFlag } from './route-view.ts'
import { DEFAULT_ROUTE_LIMITS, Routes } from './routes.ts'

const QUEUES: TopicQueues = { readQueueNums: 4, writeQueueNums: 4, perm: 6, topicSysFlag: 0 }
const NO_ACTING = { supportActingMaster: false }
const ACTING = { supportActingMaster: true }

type Given = Partial<Omit<Registration, 'topics' | 'dataVersion'>> & {
  topics?: readonly string[] | Record<string, Partial<TopicQueues>>
  term?: number
  counter?: number
}

function registration(given: Given): Registration {
  const { topics = ['A', 'B'], term = 0, counter = 1, ...fields } = given
  const configs = isList(topics)
    ? topics.map((name) => [name, QUEUES] as const)
    : Object.entries(topics).map(([name, part]) => [name, { ...QUEUES, ...part }] as const)
  return {
    clusterName: 'C',
    brokerName: 'b',
    brokerAddr: '10.0.0.1:1',
    brokerId: 0,
    haServerAddr: '10.0.0.1:2',
    timeoutMs: 120_000,
    enableActingMaster: false,
    zoneName: undefined,
    refusedTopics: 0,
    ...fields,
    dataVersion: { counter, stateVersion: term, timestamp: 5 },
    topics: new Map(configs),
  }
}

function isList<T>(value: readonly string[] | T): value is readonly string[] {
  return Array.isArray(value)
}

describe('routes', () => {
  let clock: FakeClock
  let settings: NameServerSettings
  let routes: Routes

  beforeEach(() => {
    clock = new FakeClock()
    settings = nameServerSettings()
    routes = new Routes(clock, settings)
  })

  const addresses = (brokerName = 'b') =>
    Object.fromEntries(routes.brokers.get(brokerName)?.addresses ?? [])
  const permOf = (topic: string) => routes.topics.get(topic)?.get('b')?.perm

  it('gives a registered broker with its queues', () => {
    assert.deepEqual(routes.register(registration({}), 1), { kind: 'registered' })
    assert.equal(
      JSON.stringify(routeOf(routes, 'A', NO_ACTING)),
      '{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.1:1"},"brokerName":"b","cluster":"C",' +
        '"enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"b",' +
        '"perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}',
    )
    assert.equal(routeOf(routes, 'nowhere', NO_ACTING), undefined)
  })

  it('moves an address to its new id when a slave is promoted', () => {
    routes.register(registration({ brokerId: 1 }), 1)
    routes.register(registration({ brokerId: 0 }), 1)
    assert.deepEqual(addresses(), { 0: '10.0.0.1:1' })
  })

  it('lets the new leader take id 0 at once and refuses the old one that comes back', () => {
    routes.register(registration({ term: 5 }), 1)
    routes.register(registration({ brokerId: 2, brokerAddr: '10.0.0.2:1', term: 5 }), 2)
    routes.register(registration({ brokerAddr: '10.0.0.2:1', term: 6 }), 2)
    assert.deepEqual(addresses(), { 0: '10.0.0.2:1' })

    const old = routes.register(registration({ term: 5, topics: { A: { perm: 4 }, B: {} } }), 1)
    assert.deepEqual(old, { kind: 'outdated' })
    assert.deepEqual(addresses(), { 0: '10.0.0.2:1' })
    assert.equal(permOf('A'), 6)

    const follower = registration({ brokerId: 1, term: 6 })
    const outcome = { kind: 'registered', masterAddr: '10.0.0.2:1', haServerAddr: '10.0.0.1:2' }
    assert.deepEqual(routes.register(follower, 1), outcome)
    assert.deepEqual(addresses(), { 0: '10.0.0.2:1', 1: '10.0.0.1:1' })
  })

  it('keeps the new leader when the connection of the replaced one closes', () => {
    routes.register(registration({ term: 5 }), 1)
    routes.register(registration({ brokerAddr: '10.0.0.2:1', term: 6 }), 2)
    assert.deepEqual(routes.connectionClosed(1), [])
    assert.deepEqual(addresses(), { 0: '10.0.0.2:1' })
  })

  it('refuses an incremental registration before a full one', () => {
    const single = registration({ topics: ['A'] })
    assert.deepEqual(routes.register(single, 1), { kind: 'incremental-first' })
    assert.equal(routes.brokers.size, 0)
    assert.equal(routes.clusters.size, 0)
    routes.register(registration({ counter: 1 }), 1)
    const added = registration({ topics: ['N'], counter: 2 })
    assert.deepEqual(routes.register(added, 1), { kind: 'registered' })
    assert.deepEqual([...routes.topics.keys()], ['A', 'B', 'N'])
  })

  it('changes known topics only with a new data version, but adds missing ones', () => {
    routes.register(registration({ counter: 1 }), 1)
    routes.register(registration({ counter: 1, topics: { A: { perm: 4 }, D: {} } }), 1)
    assert.equal(permOf('A'), 6)
    assert.equal(permOf('D'), 6)
    routes.register(registration({ counter: 2, topics: { A: { perm: 4 }, D: {} } }), 1)
    assert.equal(permOf('A'), 4)
    assert.equal(permOf('B'), 6, 'topics that are not in the body stay')
  })

  it('drops topics missing from a full registration only when told so', () => {
    settings.deleteTopicWithBrokerRegistration = true
    routes.register(registration({}), 1)
    routes.register(registration({ counter: 2, topics: ['N'] }), 1)
    assert.deepEqual([...routes.topics.keys()], ['A', 'B', 'N'])
    routes.register(registration({ counter: 3, topics: ['A', 'N'] }), 1)
    assert.deepEqual([...routes.topics.keys()], ['A', 'N'])
  })

  it('takes no topics from slaves', () => {
    routes.register(registration({}), 1)
    const slave = registration({ brokerId: 1, brokerAddr: '10.0.0.2:1', topics: ['X', 'Y'] })
    routes.register(slave, 2)
    assert.deepEqual([...routes.topics.keys()], ['A', 'B'])
  })

  it('forgets name, topics and cluster with the last address', () => {
    routes.register(registration({}), 1)
    routes.register(registration({ brokerId: 1, brokerAddr: '10.0.0.2:1' }), 2)
    routes.unregister({ brokerName: 'b', brokerAddr: '10.0.0.1:1' })
    assert.deepEqual(addresses(), { 1: '10.0.0.2:1' })
    assert.notEqual(routeOf(routes, 'A', NO_ACTING), undefined)
    assert.equal(routes.connectionClosed(2).length, 1)
    assert.equal(routes.brokers.size + routes.topics.size + routes.clusters.size, 0)
  })

  it('unregisters the brokers of a closed connection, and only those', () => {
    routes.register(registration({}), 1)
    routes.register(registration({ brokerName: 'c', brokerAddr: '10.0.0.3:1' }), 3)
    const gone = routes.connectionClosed(1)
    assert.deepEqual(
      gone.map((broker) => broker.brokerName),
      ['b'],
    )
    assert.deepEqual([...routes.brokers.keys()], ['c'])
    assert.deepEqual([...routes.clusters.keys()], ['C'])
  })

  it('keeps a broker that has registered on a newer connection meanwhile', () => {
    routes.register(registration({}), 1)
    routes.register(registration({}), 2)
    assert.deepEqual(routes.connectionClosed(1), [])
    assert.deepEqual(addresses(), { 0: '10.0.0.1:1' })
  })

  it('expires brokers that are silent for longer than their own timeout', () => {
    routes.register(registration({}), 1)
    const hasty = registration({ brokerId: 1, brokerAddr: '10.0.0.2:1', timeoutMs: 3_000 })
    routes.register(hasty, 2)
    clock.advance(3_000)
    assert.deepEqual(routes.expire(), [])
    routes.refresh('b', '10.0.0.1:1')
    clock.advance(1)
    assert.deepEqual(
      routes.expire().map((broker) => broker.connectionId),
      [2],
    )
    clock.advance(119_999)
    assert.deepEqual(routes.expire(), [])
    clock.advance(1)
    assert.equal(routes.expire().length, 1)
    assert.equal(routes.brokers.size + routes.topics.size + routes.clusters.size, 0)
  })

  it('shows the smallest id as master while an acting-master group has none', () => {
    const group = { enableActingMaster: true }
    routes.register(registration(group), 1)
    routes.register(registration({ ...group, brokerId: 2, brokerAddr: '10.0.0.2:1' }), 2)
    routes.register(registration({ ...group, brokerId: 3, brokerAddr: '10.0.0.3:1' }), 3)
    routes.connectionClosed(1)
    assert.equal(permOf('A'), 4, 'the write bit is gone')
    const seen = (options: { supportActingMaster: boolean }) =>
      routeOf(routes, 'A', options)?.brokerDatas[0]?.brokerAddrs
    assert.deepEqual(seen(NO_ACTING), { 2: '10.0.0.2:1', 3: '10.0.0.3:1' })
    assert.deepEqual(seen(ACTING), { 0: '10.0.0.2:1', 3: '10.0.0.3:1' })
  })

  it('takes topics without write permission from the acting master', () => {
    const acting = { enableActingMaster: true, brokerId: 1, brokerAddr: '10.0.0.2:1' }
    routes.register(registration(acting), 2)
    assert.equal(permOf('A'), 4)
  })

  it('routes within a zone, and to brokers without a master', () => {
    routes.register(registration({ zoneName: 'East' }), 1)
    const west = { brokerName: 'w', brokerAddr: '10.0.0.7:1', zoneName: 'west' }
    routes.register(registration(west), 2)
    const slaves = { brokerName: 's', brokerAddr: '10.0.0.8:1', enableActingMaster: true }
    routes.register(registration({ ...slaves, brokerId: 1 }), 3)
    const route = routeOf(routes, 'A', { ...NO_ACTING, zoneName: 'EAST' })
    assert.deepEqual(
      route?.queueDatas.map((queue) => queue.brokerName),
      ['b', 's'],
    )
  })

  it('sets and clears the write bit of every topic on a broker', () => {
    routes.register(registration({ topics: { A: { perm: 7 }, B: { perm: 4 } } }), 1)
    assert.equal(routes.changeWritePermission('b', false), 2)
    assert.deepEqual([permOf('A'), permOf('B')], [5, 4])
    assert.equal(routes.changeWritePermission('b', true), 2)
    assert.deepEqual([permOf('A'), permOf('B')], [7, 6])
    assert.equal(routes.changeWritePermission('unknown', true), 0)
  })

  it('deletes a topic everywhere or in one cluster', () => {
    routes.register(registration({}), 1)
    const other = { brokerName: 'd', brokerAddr: '10.0.0.9:1', clusterName: 'D' }
    routes.register(registration(other), 2)
    routes.deleteTopic('A', 'D')
    assert.deepEqual([...(routes.topics.get('A')?.keys() ?? [])], ['b'])
    routes.deleteTopic('B')
    assert.deepEqual([...routes.topics.keys()], ['A'])
  })

  it('ignores single topics on broker names it does not know', () => {
    routes.register(registration({}), 1)
    routes.registerTopic(
      'T',
      new Map([
        ['b', QUEUES],
        ['unknown', QUEUES],
      ]),
    )
    assert.equal(routes.topics.has('T'), false)
    routes.registerTopic('T', new Map([['b', QUEUES]]))
    assert.equal(routes.topics.has('T'), true)
  })

  it('follows the master into another cluster', () => {
    routes.register(registration({}), 1)
    routes.register(registration({ brokerId: 1, brokerAddr: '10.0.0.2:1' }), 2)
    routes.register(registration({ clusterName: 'D' }), 1)
    assert.deepEqual(clusterInfo(routes), {
      brokerAddrTable: {
        b: {
          brokerAddrs: { 0: '10.0.0.1:1', 1: '10.0.0.2:1' },
          brokerName: 'b',
          cluster: 'D',
          enableActingMaster: false,
        },
      },
      clusterAddrTable: { D: ['b'] },
    })
  })

  it('refuses what does not fit and leaves the tables as they were', () => {
    const limits = { maxBrokerNames: 1, maxReplicas: 2, maxTopics: 3 }
    routes = new Routes(clock, settings, limits)
    routes.register(registration({}), 1)
    const refused = (given: Given) =>
      assert.throws(() => routes.register(registration(given), 9), isBusy)
    refused({ brokerName: 'z' })
    refused({ topics: ['C', 'D'] })
    routes.register(registration({ brokerId: 1, brokerAddr: '10.0.0.2:1' }), 2)
    refused({ brokerId: 2, brokerAddr: '10.0.0.3:1' })
    assert.deepEqual(addresses(), { 0: '10.0.0.1:1', 1: '10.0.0.2:1' })
    assert.deepEqual([...routes.topics.keys()], ['A', 'B'])
  })

  it('lists topics by the unit flags', () => {
    const flags = { A: { topicSysFlag: 1 }, B: { topicSysFlag: 2 }, D: { topicSysFlag: 3 } }
    routes.register(registration({ topics: flags }), 1)
    assert.deepEqual(
      topicsByFlag(routes, (flag) => flag === 2),
      { topicList: ['B'] },
    )
  })

  it('keeps its invariants whatever brokers do', () => {
    const step = fc.record({
      kind: fc.constantFrom('register', 'unregister', 'close', 'expire'),
      brokerName: fc.constantFrom('b', 'c'),
      brokerAddr: fc.constantFrom('10.0.0.1:1', '10.0.0.2:1', '10.0.0.3:1'),
      brokerId: fc.integer({ min: 0, max: 2 }),
      clusterName: fc.constantFrom('C', 'D'),
      term: fc.integer({ min: 0, max: 3 }),
      topics: fc.constantFrom(['A'], ['A', 'B'], ['B', 'D'], []),
      connectionId: fc.integer({ min: 1, max: 4 }),
      enableActingMaster: fc.boolean(),
      advanceMs: fc.constantFrom(0, 1_000, 60_000),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const time = new FakeClock()
        const table = new Routes(time, nameServerSettings())
        for (const { kind, connectionId, advanceMs, ...given } of steps) {
          time.advance(advanceMs)
          if (kind === 'register') table.register(registration(given), connectionId)
          else if (kind === 'unregister') table.unregister(given)
          else if (kind === 'close') table.connectionClosed(connectionId)
          else table.expire()
          checkInvariants(table)
        }
        for (let connectionId = 1; connectionId <= 4; connectionId++) {
          table.connectionClosed(connectionId)
        }
        assert.equal(table.brokers.size, 0, 'a broker without a live connection stayed')
        assert.equal(table.topics.size + table.clusters.size, 0)
      }),
    )
  })
})

function isBusy(error: unknown): boolean {
  return error instanceof LedgerError && error.code === 'BUSY'
}

function checkInvariants(routes: Routes): void {
  for (const [name, broker] of routes.brokers) {
    assert.ok(broker.addresses.size > 0, `${name} has no address`)
    assert.equal(new Set(broker.addresses.values()).size, broker.addresses.size)
    assert.ok(routes.clusters.get(broker.cluster)?.has(name), `${name} is in no cluster`)
    for (const address of broker.addresses.values()) {
      assert.notEqual(routes.dataVersionOf(name, address), undefined, `${address} is not live`)
    }
    assert.deepEqual(brokerMemberGroup(routes, 'x', name), {
      brokerMemberGroup: {
        brokerAddrs: Object.fromEntries(broker.addresses),
        brokerName: name,
        cluster: 'x',
      },
    })
  }
  const listed = [...routes.clusters.values()].flatMap((names) => [...names])
  assert.deepEqual(listed.sort(), [...routes.brokers.keys()].sort())
  for (const queues of routes.topics.values()) {
    assert.ok(queues.size > 0)
    for (const name of queues.keys()) assert.ok(routes.brokers.has(name))
  }
  assert.ok(routes.topics.size <= DEFAULT_ROUTE_LIMITS.maxTopics)
}
