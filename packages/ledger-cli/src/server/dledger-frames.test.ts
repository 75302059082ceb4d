/** Requests as DLedger 0.3.2's own client writes them, with both kinds of header. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { decodeCommand, nextFrame, type RemotingCommand } from '@ringledger/protocol'
import { type Body, readBody } from '../wire/body.ts'
import { FakeLedger } from './ledger-fake.ts'
import { LedgerListener } from './ledger-listener.ts'
import { LedgerService } from './ledger-service.ts'

const FRAMES = JSON.parse(
  readFileSync(new URL('../../testdata/dledger-frames.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, string>>

async function readFrame(socket: Socket): Promise<RemotingCommand> {
  let held = Buffer.alloc(0)
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    held = Buffer.concat([held, chunk])
    const view = new DataView(held.buffer, held.byteOffset, held.length)
    if (nextFrame(view, 0, held.length) === held.length) return decodeCommand(held)
  }
}

describe("frames of DLedger's client", () => {
  const ledger = new FakeLedger()
  const clients = new Map([
    ['n0', '127.0.0.1:1'],
    ['n1', '127.0.0.1:2'],
  ])
  const service = new LedgerService({ ledger, group: 'RaftNode00', selfId: 'n0', clients })
  const options = { host: '127.0.0.1', port: 0, service, log: () => {} }
  const listener = new LedgerListener(options)
  let socket: Socket

  before(async () => {
    await listener.listen()
    socket = connect(listener.port, '127.0.0.1')
    // As old as in the samples: index 42 and term 1.
    for (let index = 0; index <= 42; index++) ledger.add(Buffer.from(`entry ${index}`))
  })

  after(async () => {
    socket.destroy()
    await listener.close()
  })

  async function ask(name: string, header: string): Promise<Body> {
    const frame = Buffer.from(FRAMES[`${name}-${header}`]!, 'hex')
    socket.write(frame)
    const { code, opaque, flag, body } = await readFrame(socket)
    assert.deepEqual([code, opaque, flag], [200, decodeCommand(frame).opaque, 1])
    return readBody(body, 'the answer')
  }

  for (const header of ['json', 'rocketmq']) {
    it(`are answered, ${header} header`, async () => {
      const metadata = await ask('50000-metadata', header)
      assert.deepEqual([metadata.code, metadata.leaderId], [200, 'n0'])
      const before = ledger.entries.length
      const one = await ask('50001-append', header)
      assert.deepEqual([one.code, one.index, one.leaderId], [200, before, 'n0'])
      assert.equal(Buffer.from(ledger.entries.at(-1)!.body).toString(), 'hello dledger')
      const batch = await ask('50001-append-batch', header)
      assert.deepEqual([batch.code, batch.index], [200, before + 2])
      const got = await ask('50002-get', header)
      const [entry] = got.entries as { index: number; body: string }[]
      assert.equal(entry!.index, 42)
      assert.equal(Buffer.from(entry!.body, 'base64').toString(), 'entry 42')
      const transfer = await ask('51005-leadership-transfer-from-client', header)
      assert.equal(transfer.code, 407, 'the sample means term 3')
    })
  }

  it('of a DLedger that wants to be a member are refused with a reason', async () => {
    const frame = Buffer.from(FRAMES['51004-push-append-json']!, 'hex')
    const toUs = Buffer.from(
      frame.toString('latin1').replace('"remoteId":"n1"', '"remoteId":"n0"'),
      'latin1',
    )
    socket.write(toUs)
    const { remark, body } = await readFrame(socket)
    assert.equal(readBody(body, 'the answer').code, 303)
    assert.match(remark ?? '', /request 51004 is not for clients/)
  })
})
