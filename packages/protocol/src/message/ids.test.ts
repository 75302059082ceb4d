import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeHost, hostAddress, hostPort, hostText } from './host.ts'
import { offsetMessageId, offsetMessageIdOfHost, parseOffsetMessageId, UniqueIds } from './ids.ts'
import { javaHashCode, javaHashCodeOfUtf8, tagsCode } from './tags.ts'

// Any code point; fast-check's own unit for this costs a second to set up.
const character: fc.Arbitrary<string> = fc
  .oneof(fc.nat({ max: 0x7f }), fc.nat({ max: 0xd7ff }), fc.integer({ min: 0xe000, max: 0x10ffff }))
  .map((codePoint) => String.fromCodePoint(codePoint))

const BAD = { name: 'LedgerError', code: 'BAD_REQUEST' }
const port = fc.nat({ max: 65_535 })
const offset = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })

test('offset ids are those of the real broker', () => {
  const host = Buffer.from([127, 0, 0, 1])
  assert.equal(offsetMessageId(host, 20911, 0), '7F000001000051AF0000000000000000')
  assert.equal(offsetMessageId(host, 20911, 0x1d23b), '7F000001000051AF000000000001D23B')
})

test('offset ids name host and offset', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), port, offset, (address, portNumber, physical) => {
      const host = encodeHost(address, portNumber)
      const id = offsetMessageIdOfHost(host, physical)
      assert.deepEqual(parseOffsetMessageId(id), {
        address: hostAddress(host),
        port: portNumber,
        physicalOffset: physical,
      })
      assert.deepEqual(parseOffsetMessageId(id.toLowerCase()), parseOffsetMessageId(id))
    }),
  )
})

test('what is no offset id is a bad request', () => {
  const valid = '7F000001000051AF0000000000000000'
  for (const id of ['', 'x', `${valid}0`, valid.slice(1), valid.replace('7', 'G')]) {
    assert.throws(() => parseOffsetMessageId(id), BAD, id)
  }
  assert.throws(() => parseOffsetMessageId(`7F000001000051AF${'F'.repeat(16)}`), BAD)
  assert.throws(() => parseOffsetMessageId(`7F000001000051AF7${'F'.repeat(15)}`), BAD)
})

test('hosts come back as text', () => {
  assert.equal(hostText(encodeHost('10.1.2.3', 10911)), '10.1.2.3:10911')
  assert.equal(hostText(encodeHost('::ffff:10.1.2.3', 1)), '10.1.2.3:1')
  assert.equal(hostText(encodeHost('2001:db8::1', 5)), '[2001:db8:0:0:0:0:0:1]:5')
  assert.equal(hostAddress(encodeHost('64:ff9b::1.2.3.4', 5)), '64:ff9b:0:0:0:0:102:304')
  assert.equal(hostAddress(encodeHost('::', 5)), '0:0:0:0:0:0:0:0')
  assert.equal(hostAddress(encodeHost('fe80::1%eth0', 5)), 'fe80:0:0:0:0:0:0:1')
  assert.throws(() => encodeHost('localhost', 1), BAD)
  fc.assert(
    fc.property(fc.ipV6(), port, (address, portNumber) => {
      const host = encodeHost(address, portNumber)
      assert.equal(hostPort(host), portNumber)
      assert.deepEqual(encodeHost(hostAddress(host), portNumber), host)
    }),
  )
})

test('unique ids differ, and begin with address and process', () => {
  const ids = new UniqueIds(Uint8Array.of(192, 168, 0, 1), 0x12345)
  const nowMs = Date.UTC(2026, 10, 23)
  const made = Array.from({ length: 1_000 }, () => ids.next(nowMs))
  assert.equal(new Set(made).size, made.length)
  for (const id of made) assert.match(id, /^C0A800012345[0-9A-F]{20}$/)
  const days = (Date.UTC(2026, 10, 23) - Date.UTC(2026, 10, 1)).toString(16).toUpperCase()
  assert.ok(made[0]?.slice(20, 28).endsWith(days))
  const next = ids.next(Date.UTC(2026, 11, 1, 0, 0, 0, 255))
  assert.equal(next.slice(20, 28), '000000FF')
  assert.equal(ids.next(nowMs).slice(20, 28), made[0]?.slice(20, 28))
})

test("tag codes are Java's", () => {
  assert.equal(javaHashCode('TagA'), 2598919)
  assert.equal(javaHashCode('d'), 100)
  assert.equal(javaHashCode(''), 0)
  assert.equal(javaHashCode('polygenelubricants'), -(2 ** 31))
  assert.equal(tagsCode(undefined), 0)
  assert.equal(tagsCode('TagA'), 2598919)
  fc.assert(
    fc.property(fc.string({ unit: character }), (text) => {
      const bytes = Buffer.from(`<${text}>`)
      assert.equal(javaHashCodeOfUtf8(bytes, 1, bytes.length - 1), javaHashCode(text))
    }),
  )
})
