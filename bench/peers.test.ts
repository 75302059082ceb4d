import assert from 'node:assert/strict'
import { test } from 'node:test'
import { measurePeers, median, type Peer, ratiosOf, SHAPES } from './peers/peer.ts'
import type { Context, Figures, Point } from './suite/scenario.ts'

test('the median is the middle one, or between the two in the middle', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.ok(Number.isNaN(median([])))
})

test('systems are compared within a round, so that a slow hour of the machine does not count', () => {
  const send = (rates: number[]): Map<string, Figures[]> =>
    new Map([['4 × 64', rates.map((acknowledgedPerSecond) => ({ acknowledgedPerSecond }))]])
  const rounds = new Map([
    ['ours', send([1000, 100, 1000])],
    ['theirs', send([100, 10, 50])],
  ])
  const ratios = ratiosOf(rounds, 'ours', 'theirs')
  assert.deepEqual([...ratios], [['4 × 64: acknowledgedPerSecond, ours by theirs', 10]])
})

test('of a latency, theirs by ours: higher is better there too', () => {
  const one = (p50Ms: number): Map<string, Figures[]> => new Map([['one in flight', [{ p50Ms }]]])
  const rounds = new Map([
    ['ours', one(0.5)],
    ['theirs', one(1.5)],
  ])
  assert.deepEqual(
    [...ratiosOf(rounds, 'ours', 'theirs')],
    [['one in flight: p50Ms, theirs by ours', 3]],
  )
})

interface Log {
  readonly steps: string[]
  readonly points: Point[]
  readonly ratios: Map<string, number>
  readonly context: Context
}

function log(rounds: number, warmSeconds: number): Log {
  const [steps, points, ratios] = [[] as string[], [] as Point[], new Map<string, number>()]
  const context: Context = {
    quick: false,
    seconds: 1,
    rounds,
    warmSeconds,
    messages: 1,
    show: () => {},
    point: (point) => points.push(point),
    ratio: (name, value) => ratios.set(name, value),
  }
  return { steps, points, ratios, context }
}

function fakePeer(name: string, rate: number, { steps }: Log, fails = false): Peer {
  return {
    name,
    warmShare: name === 'theirs' ? 1 : 0,
    start: async () => {
      steps.push(`${name} starts`)
      return {
        warm: async (seconds) => void steps.push(`${name} warms ${seconds}`),
        send: async () => {
          if (fails) throw new Error('it is broken')
          return { acknowledgedPerSecond: rate, p50Ms: 1, p99Ms: 2 }
        },
        pull: undefined,
        stop: async () => void steps.push(`${name} stops`),
      }
    },
  }
}

test('rounds are interleaved, and each system is alone while it is measured', async () => {
  const seen = log(2, 60)
  await measurePeers([fakePeer('ours', 80, seen), fakePeer('theirs', 10, seen)], seen.context)
  const round = ['ours starts', 'ours warms 3', 'ours stops']
  round.push('theirs starts', 'theirs warms 60', 'theirs stops')
  assert.deepEqual(seen.steps, [...round, ...round])
  assert.equal(seen.points.length, 2 * 2 * SHAPES.length)
  assert.equal(seen.ratios.get('4 × 64: acknowledgedPerSecond, ours by theirs'), 8)
  assert.equal(seen.ratios.size, 4)
})

test('a system that fails is stopped, and the run fails', async () => {
  const seen = log(1, 0)
  const peers = [fakePeer('ours', 80, seen), fakePeer('theirs', 10, seen, true)]
  await assert.rejects(measurePeers(peers, seen.context), /it is broken/)
  assert.equal(seen.steps.at(-1), 'theirs stops')
  assert.equal(seen.ratios.size, 0)
})
