import assert from 'node:assert/strict'
import { createServer, type Server, type Socket } from 'node:net'
import { after, test } from 'node:test'
import { decodeCommand, encodeCommand, RESPONSE_FLAG } from '@ringledger/protocol'
import fc from 'fast-check'
import { Lanes } from './load/lanes.ts'
import { LatencyRecorder } from './load/latency.ts'
import { Schedule } from './load/schedule.ts'
import { sendLoad } from './load/send-load.ts'
import { sendTemplates } from './resilience/send-connection.ts'

test('a message is due exactly from its intended start on, and all are in the end', () => {
  const rates = fc.double({ min: 0.5, max: 500_000, noNaN: true })
  const seconds = fc.double({ min: 0.01, max: 20, noNaN: true })
  fc.assert(
    fc.property(rates, seconds, fc.nat(), (rate, duration, pick) => {
      const schedule = new Schedule(rate, duration, 1000)
      assert.ok(Math.abs(schedule.total - rate * duration) <= rate / 1000 + 1)
      assert.equal(schedule.dueBy(999), 0)
      assert.equal(schedule.dueBy(1000 + duration * 1000), schedule.total)
      if (schedule.total === 0) return
      const number = pick % schedule.total
      const startMs = schedule.intendedMs(number)
      assert.ok(schedule.dueBy(startMs) > number)
      assert.ok(schedule.dueBy(startMs - 1) <= number)
    }),
  )
})

test('a schedule never goes back, and keeps its mean rate', () => {
  const schedule = new Schedule(2500, 2, 0)
  const starts = Array.from({ length: schedule.total }, (_, at) => schedule.intendedMs(at))
  assert.equal(schedule.total, 5000)
  assert.deepEqual(
    starts,
    starts.toSorted((a, b) => a - b),
  )
  assert.equal(starts.filter((at) => at <= 1000).length, 2500)
  assert.throws(() => new Schedule(0, 1, 0), /above zero/)
})

test('percentiles are those of the values, to three digits', () => {
  const recorder = new LatencyRecorder()
  for (let ms = 1; ms <= 1000; ms++) recorder.record(5000, 5000 + ms)
  const { count, p50Ms, p99Ms, p999Ms, maxMs } = recorder.summary()
  assert.equal(count, 1000)
  for (const [found, wanted] of [
    [p50Ms, 500],
    [p99Ms, 990],
    [p999Ms, 999],
    [maxMs, 1000],
  ] as const) {
    assert.ok(Math.abs(found - wanted) / wanted < 0.002, `${found} for ${wanted}`)
  }
})

test('no percentile is above the largest value', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 1e7 }), { minLength: 1 }), (micros) => {
      const recorder = new LatencyRecorder()
      for (const us of micros) recorder.record(0, us / 1000)
      const { p50Ms, p90Ms, p99Ms, p999Ms, maxMs } = recorder.summary()
      assert.ok(p50Ms <= p90Ms && p90Ms <= p99Ms && p99Ms <= p999Ms && p999Ms <= maxMs)
    }),
  )
})

test('without a value there is no figure, and a clock that went back is no error', () => {
  const recorder = new LatencyRecorder()
  assert.ok(Number.isNaN(recorder.summary().p99Ms))
  assert.ok(Number.isNaN(recorder.summary().maxMs))
  assert.ok(Number.isNaN(recorder.summary().p50Ms))
  recorder.record(10, 9)
  assert.equal(recorder.summary().maxMs, 0)
})

test('a lane is taken once until it is given back, with what it was taken for', () => {
  const lanes = new Lanes(2)
  const [a, b] = [lanes.take(7), lanes.take(8)]
  assert.notEqual(a, b)
  assert.ok(lanes.full)
  assert.throws(() => lanes.take(9), /all 2 lanes are taken/)
  assert.equal(lanes.release(a), 7)
  assert.deepEqual(lanes.waiting(), [8])
  assert.throws(() => lanes.release(a), /waits for none/)
  assert.throws(() => lanes.release(5), /waits for none/)
  assert.equal(lanes.take(10), a)
  assert.equal(lanes.taken, 2)
})

const servers: Server[] = []
after(() => {
  for (const server of servers) server.close()
})

/** A broker that hands every request over, with a way to answer it. */
async function broker(onSend: (answer: (code: number) => void) => void): Promise<string> {
  const server = createServer((socket) => {
    let unread: Buffer = Buffer.alloc(0)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      unread = Buffer.concat([unread, chunk])
      while (unread.length >= 4 && unread.length >= 4 + unread.readInt32BE(0)) {
        const end = 4 + unread.readInt32BE(0)
        const { opaque } = decodeCommand(Buffer.from(unread.subarray(0, end)))
        unread = unread.subarray(end)
        onSend((code) => answerTo(socket, opaque, code))
      }
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

function answerTo(socket: Socket, opaque: number, code: number): void {
  const remark = code === 0 ? {} : { remark: `busy ${opaque}` }
  socket.write(encodeCommand({ code, opaque, flag: RESPONSE_FLAG, ...remark }))
}

const LOAD = { templates: sendTemplates('Load', 16), connections: 2, warmupSeconds: 0 }

test('who is not answered counts with the time waited so far', async () => {
  const address = await broker(() => {})
  const result = await sendLoad({ ...LOAD, address, rate: 1000, seconds: 0.2, drainMs: 20 })
  assert.ok(result.due >= 199, String(result.due))
  assert.equal(result.unanswered, result.due)
  assert.equal(result.latency.count, result.due)
  assert.equal(result.acknowledgedPerSecond, 0)
  assert.ok(result.latency.maxMs >= 200)
})

test('a pause of the server counts for all messages that were due in it', async () => {
  const held: (() => void)[] = []
  const address = await broker((answer) => {
    held.push(() => answer(0))
    if (held.length >= 100) for (const release of held.splice(0)) release()
  })
  const result = await sendLoad({ ...LOAD, address, rate: 1000, seconds: 0.2, drainMs: 20 })
  assert.equal(result.latency.count, result.due)
  // The hundredth does not start before it is due, and the first one waits for it.
  assert.ok(result.latency.maxMs >= 98, String(result.latency.maxMs))
  // Half of them wait at least half of that, though each was answered as soon as it could be.
  assert.ok(result.latency.p50Ms >= 45, String(result.latency.p50Ms))
})

test('refusals are counted by kind, and are no acknowledgements', async () => {
  let requests = 0
  const address = await broker((answer) => answer(++requests % 4 === 0 ? 2 : 0))
  const result = await sendLoad({ ...LOAD, address, rate: 2000, seconds: 0.2 })
  assert.ok(result.due > 0)
  assert.deepEqual([...result.failures.keys()], ['code 2 busy #'])
  const failed = result.failures.get('code 2 busy #') ?? 0
  assert.ok(failed > 0)
  assert.equal(result.latency.count + failed, result.due)
  assert.equal(result.unanswered, 0)
})

test('a closed loop never has more unanswered than its windows', async () => {
  let open = 0
  let most = 0
  const address = await broker((answer) => {
    most = Math.max(most, ++open)
    setImmediate(() => {
      open--
      answer(0)
    })
  })
  const result = await sendLoad({ ...LOAD, address, window: 3, seconds: 0.1 })
  assert.ok(most <= 6, String(most))
  assert.ok(result.acknowledgedPerSecond > 0)
})

test('a connection that ends, or nobody who listens, ends the load', async () => {
  const server = createServer((socket) => socket.on('data', () => socket.destroy()))
  servers.push(server)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`
  await assert.rejects(
    sendLoad({ ...LOAD, address, window: 1, seconds: 60 }),
    /a connection of the load ended/,
  )
  await assert.rejects(sendLoad({ ...LOAD, address: '127.0.0.1:1', window: 1, seconds: 60 }))
})
