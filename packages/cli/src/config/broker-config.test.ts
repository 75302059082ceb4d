import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LedgerError } from '@ringledger/base'
import fc from 'fast-check'
import { type BrokerConfig, loadBrokerConfig, readBrokerConfig } from './broker-config.ts'
import type { ConfigEnvironment } from './environment.ts'
import { BROKER_KEYS } from './known-keys.ts'
import { formatProperties, parseProperties } from './properties-file.ts'

const environment: ConfigEnvironment = {
  variables: { ROCKETMQ_HOME: '/opt/rocketmq' },
  homeDirectory: '/home/op',
  hostName: 'host-1',
  address: '10.1.2.3',
  cores: 2,
  memoryBytes: 1_000,
}
const GROUP = `
brokerClusterName=RaftCluster
brokerName=RaftNode00
listenPort=30911
namesrvAddr=127.0.0.1:9876
storePathRootDir=/tmp/rmqstore/node00
storePathCommitLog=/tmp/rmqstore/node00/commitlog
enableDLegerCommitLog=true
dLegerGroup=RaftNode00
dLegerPeers=n0-127.0.0.1:40911;n1-127.0.0.1:40912;n2-127.0.0.1:40913
dLegerSelfId=n1
sendMessageThreadPoolNums=16
`

function read(text: string, given: Partial<ConfigEnvironment> = {}): BrokerConfig {
  const source = { path: 'broker.conf', ...parseProperties(Buffer.from(text)) }
  return readBrokerConfig(source, { ...environment, ...given })
}

function problems(text: string): string[] {
  try {
    read(text)
  } catch (error) {
    assert.ok(error instanceof LedgerError && error.code === 'BAD_CONFIG', String(error))
    return error.message.split('\n')
  }
  return assert.fail('the configuration was taken')
}

test("RocketMQ's own sample file of a DLedger node is taken as it is", () => {
  const { settings, warnings } = read(GROUP)
  assert.deepEqual(warnings, [])
  assert.equal(settings.listenPort, 30911)
  assert.equal(settings.dLegerSelfId, 'n1')
  assert.deepEqual(settings.peers[2], { id: 'n2', host: '127.0.0.1', port: 40913 })
  assert.equal(settings.storePathDLedgerCommitLog, '/tmp/rmqstore/node00/dledger-n1/data')
  assert.equal(settings.flushDiskType, 'SYNC_FLUSH')
  assert.equal(settings.networkThreads, 1)
  assert.equal(settings.threads, 'folded')
})

test('clients have threads of their own from four cores up, at most half as many as cores', () => {
  const threads = (text: string, cores: number): [string, number] => {
    const { settings } = read(text, { cores })
    return [settings.threads, settings.networkThreads]
  }
  assert.deepEqual(threads('', 3), ['folded', 1])
  assert.deepEqual(threads('', 4), ['separate', 2])
  assert.deepEqual(threads('', 64), ['separate', 2])
  assert.deepEqual(threads(GROUP, 8), ['separate', 4])
  assert.deepEqual(threads(GROUP, 64), ['separate', 8])
  assert.deepEqual(threads('threads=folded', 64), ['folded', 2])
  assert.deepEqual(threads('threads=separate\nsendMessageThreadPoolNums=1', 2), ['separate', 1])
})

test('an empty file is a group of one with names and addresses from the machine', () => {
  const { settings, warnings } = read('')
  assert.equal(settings.brokerName, 'host-1')
  assert.equal(settings.brokerIP1, '10.1.2.3')
  assert.equal(settings.listenPort, 10911)
  assert.equal(settings.dLegerGroup, 'host-1')
  assert.deepEqual(settings.peers, [{ id: 'n0', host: '127.0.0.1', port: 40911 }])
  assert.equal(settings.storePathRootDir, '/home/op/store')
  assert.equal(warnings.length, 1)
  assert.match(warnings[0]!, /no name server/)
})

test('unknown keys, malformed values and conflicts carry file, line and the way out', () => {
  assert.deepEqual(problems('listenPort=10911\nenableDLedgerCommitLog=true\n'), [
    'broker.conf:2: unknown setting "enableDLedgerCommitLog"; did you mean "enableDLegerCommitLog"?',
  ])
  assert.deepEqual(problems('mapedFileSizeCommitLog=1\nisEnableBatchPush=true\nlistenPort=1091x'), [
    'broker.conf:1: unknown setting "mapedFileSizeCommitLog"; did you mean "mappedFileSizeCommitLog"?',
    'broker.conf:2: unknown setting "isEnableBatchPush"; did you mean "enableBatchPush"?',
    'broker.conf:3: listenPort="1091x": must be a whole number from 1 to 65535',
  ])
})

test('RocketMQ settings without effect are accepted, each with one line', () => {
  const { warnings } = read(
    'namesrvAddr=a:1\nhaListenPort=10912\nbrokerRole=ASYNC_MASTER\nbrokerId=0',
  )
  assert.deepEqual(warnings, [
    'broker.conf:2: "haListenPort" is a RocketMQ setting that RingLedger does not use; it has no effect',
    'broker.conf:3: brokerRole=ASYNC_MASTER is ignored: the group elects its leader',
    'broker.conf:4: brokerId=0 is ignored: the leader is 0, a follower nK is K + 1',
  ])
})

test('the group must fit together', () => {
  const cases: [string, RegExp][] = [
    [`${GROUP}dLegerSelfId=n3`, /:13: dLegerSelfId=n3 is not in dLegerPeers \(n0, n1, n2\)/],
    [`${GROUP}listenPort=40912`, /:13: listenPort=40912 is also the DLedger port of n1/],
    [`${GROUP}preferredLeaderId=n7`, /preferredLeaderId n7 is not in dLegerPeers/],
    [`${GROUP}dLegerPeers=n0-a:1;n0-b:1`, /id n0 stands twice/],
    [`${GROUP}dLegerPeers=n0-a:1;n1-a:1`, /n0 and n1 have the same address a:1/],
    [`${GROUP}dLegerPeers=broker-0-a:1`, /"broker" is not a letter and a number/],
    [`${GROUP}dLegerPeers=n0-fd00::1:40911`, /needs brackets/],
    [`${GROUP}dLegerPeers=n0-10.0.0.1`, /is not host:port/],
    [`${GROUP}dLegerPeers=10.0.0.1:40911`, /has no id/],
    [`${GROUP}dLegerPeers=n0-10.0.0.256:40911`, /is not a host name or address/],
    [`${GROUP}enableDLegerCommitLog=false`, /dLegerPeers names 3 nodes; remove it/],
    ['enableDLegerCommitLog=false\nbrokerRole=SLAVE', /brokerRole=SLAVE with .*always a Master/],
    ['enableDLegerCommitLog=false\nbrokerId=1', /brokerId=1 with .*always a Master/],
    [`${GROUP}enableControllerMode=true`, /not supported/],
    [`${GROUP}electionTimeoutMs=100`, /at most a third/],
    ['dLegerSelfId=n0', /dLegerSelfId without dLegerPeers/],
    ['dLegerPeers=n0-a:1', /which of them is this node/],
  ]
  for (const [text, expected] of cases) assert.match(problems(text).join('\n'), expected)
})

test('a Master of RocketMQ may be served as it is, and is told what it is without', () => {
  const { settings, warnings } = read(
    'namesrvAddr=a:1\nenableDLegerCommitLog=false\nbrokerRole=SYNC_MASTER\nbrokerId=0\nflushDiskType=ASYNC_FLUSH',
  )
  assert.equal(settings.enableDLegerCommitLog, false)
  assert.equal(warnings.length, 2)
  assert.match(warnings[0] ?? '', /:2: .*nothing is replicated/)
  assert.match(warnings[1] ?? '', /:5: .*when this machine loses power/)
})

test('sizes that cannot work are refused', () => {
  assert.match(problems('mappedFileSizeCommitLog=65536')[0]!, /cannot hold a message/)
  assert.match(problems('logArenaSizeBytes=33554433')[0]!, /power of two; 33554432/)
  assert.match(problems('logArenaSizeBytes=8388608')[0]!, /must hold two messages/)
  assert.match(problems('maxIndexNum=100000000\nmaxHashSlotNum=100000000')[0]!, /key index file/)
  assert.match(problems('storePathDLedgerCommitLog=/a,/b')[0]!, /more than one path/)
})

test('host names, IPv6 and hosts with dashes may stand in the member list', () => {
  const text =
    'dLegerPeers=n0-[fd00::1]:40911;n1-broker-0.broker.svc:40911;n2-10.0.0.3:40911\ndLegerSelfId=n1'
  assert.deepEqual(read(text).settings.peers, [
    { id: 'n0', host: 'fd00::1', port: 40911 },
    { id: 'n1', host: 'broker-0.broker.svc', port: 40911 },
    { id: 'n2', host: '10.0.0.3', port: 40911 },
  ])
})

test('what an operator should think about is a warning', () => {
  const loopback = `${GROUP.replaceAll('n2-127.0.0.1', 'n2-10.0.0.9')}brokerIP1=127.0.0.1`
  assert.match(read(loopback).warnings[0]!, /:13: brokerIP1=127.0.0.1: clients on other machines/)
  assert.match(read(`${GROUP}flushDiskType=ASYNC_FLUSH`).warnings[0]!, /may be lost/)
  const four = `${GROUP}dLegerPeers=n0-a:1;n1-b:1;n2-c:1;n3-d:1`
  assert.ok(read(four).warnings.some((line) => /a group of 4 survives no more/.test(line)))
})

test('paths: home directories are filled in, anything else in ${} is refused', () => {
  assert.equal(read('storePathRootDir=${user.home}/a b').settings.storePathRootDir, '/home/op/a b')
  assert.equal(
    read('storePathRootDir=${ROCKETMQ_HOME}/store').settings.storePathCommitLog,
    '/opt/rocketmq/store/commitlog',
  )
  assert.match(problems('storePathRootDir=${user.hme}/store')[0]!, /only \$\{user.home\}/)
  assert.match(problems('storePathRootDir=D:\\rocketmq')[0]!, /control character/)
})

test('the command line wins over the file, the file over the environment', () => {
  const variables = { NAMESRV_ADDR: 'env:1' }
  assert.deepEqual(read('', { variables }).settings.nameServers, ['env:1'])
  assert.deepEqual(read('namesrvAddr=a:1;b:2', { variables }).settings.nameServers, ['a:1', 'b:2'])
  const { settings } = loadBrokerConfig(undefined, { namesrvAddr: 'c:3' }, environment)
  assert.deepEqual(settings.nameServers, ['c:3'])
})

test('a file that cannot be read is a configuration error', () => {
  assert.throws(() => loadBrokerConfig('/nowhere/broker.conf'), /there is no such file/)
  assert.throws(() => loadBrokerConfig('/'), /it is a directory/)
})

test('the effective configuration reads back as itself', () => {
  const first = read(GROUP)
  const second = read(formatProperties(first.effective))
  assert.deepEqual(second.effective, first.effective)
  assert.deepEqual(second.settings, first.settings)
  assert.deepEqual([...first.effective.keys()], [...first.effective.keys()].sort())
})

test('every RocketMQ key is taken or warned about, whatever its spelling there', () => {
  assert.ok(BROKER_KEYS.size > 450)
  for (const key of BROKER_KEYS) {
    const text = problemsOrNone(`${key}=1`)
    assert.ok(!text.some((line) => line.includes('unknown setting')), `${key}: ${text}`)
  }
})

test('no member list makes the reader throw anything but BAD_CONFIG', () => {
  const part = fc.constantFrom(
    'n0-',
    'n1',
    '-',
    ':',
    ';',
    '[',
    ']',
    '::1',
    'host',
    '40911',
    ' ',
    '%',
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      problemsOrNone(`dLegerSelfId=n0\ndLegerPeers=${parts.join('')}`)
    }),
  )
})

function problemsOrNone(text: string): string[] {
  try {
    read(text)
    return []
  } catch (error) {
    assert.ok(error instanceof LedgerError && error.code === 'BAD_CONFIG', String(error))
    return error.message.split('\n')
  }
}
