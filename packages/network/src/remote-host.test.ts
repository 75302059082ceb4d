import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostBytes, hostText } from './remote-host.ts'

test('IPv4, also mapped into IPv6, takes 8 bytes', () => {
  const expected = Buffer.from([192, 168, 0, 7, 0, 0, 0x78, 0xbf])
  assert.ok(expected.equals(hostBytes('192.168.0.7', 30_911)))
  assert.ok(expected.equals(hostBytes('::ffff:192.168.0.7', 30_911)))
  assert.equal(hostText('::ffff:192.168.0.7', 30_911), '192.168.0.7:30911')
})

test('IPv6 takes 20 bytes in every spelling', () => {
  const cases: [string, string][] = [
    ['::1', '00000000000000000000000000000001'],
    ['::', '00000000000000000000000000000000'],
    [
      '2001:db8::8a2e:370:7334',
      '20010db800000000000000008a2e03707334'.replace(/^(.{8})0{4}/, '$1'),
    ],
    ['fe80::1%eth0', 'fe800000000000000000000000000001'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['64:ff9b::192.0.2.1', '0064ff9b0000000000000000c0000201'],
  ]
  for (const [address, hex] of cases) {
    assert.equal(hostBytes(address, 1).toString('hex'), `${hex}00000001`, address)
  }
  assert.equal(hostText('::1', 5), '[::1]:5')
})
