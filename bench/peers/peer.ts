/**
 * Systems that are measured one after another, round by round, each alone on the machine. Owns the
 * rule that they are compared within a round: the median of the quotients counts, not the quotient
 * of two medians that the machine's other work may have moved apart.
 */
import type { Context, Figures } from '../suite/scenario.ts'

/** Unanswered messages: the same for every system. */
export interface Shape {
  readonly name: string
  readonly connections: number
  readonly window: number
  readonly bodyBytes: number
}

export const SHAPES: readonly Shape[] = [
  { name: '4 × 64', connections: 4, window: 64, bodyBytes: 1024 },
  { name: '4 × 256', connections: 4, window: 256, bodyBytes: 1024 },
  { name: 'one in flight', connections: 1, window: 1, bodyBytes: 1024 },
]

export interface RunningPeer {
  /** A load that is not measured, so that compilers have seen what is to come. */
  warm(seconds: number): Promise<void>
  send(shape: Shape, seconds: number): Promise<Figures>
  /** Reads the newest of what was sent, 32 a request; undefined: its protocol has no pulls. */
  pull: (() => Promise<Figures>) | undefined
  stop(): Promise<void>
}

export interface Peer {
  readonly name: string
  /** How much of `--warm` it needs: 1 for a virtual machine, less for what is compiled before. */
  readonly warmShare: number
  start(): Promise<RunningPeer>
}

/** A quotient of ours by another's that is wanted; `inverse`: less is better. */
export interface Wanted {
  readonly shape: string
  readonly figure: string
  readonly inverse: boolean
}

const PULL = 'pull'
const SHORT_WARM_SECONDS = 3

const WANTED: readonly Wanted[] = [
  { shape: '4 × 64', figure: 'acknowledgedPerSecond', inverse: false },
  { shape: '4 × 64', figure: 'p99Ms', inverse: true },
  { shape: '4 × 256', figure: 'acknowledgedPerSecond', inverse: false },
  { shape: 'one in flight', figure: 'p50Ms', inverse: true },
  { shape: PULL, figure: 'readPerSecond', inverse: false },
]

/** By system and shape, a value of each round. */
export type Rounds = ReadonlyMap<string, ReadonlyMap<string, readonly Figures[]>>

/** The first is ours. */
export async function measurePeers(peers: readonly Peer[], context: Context): Promise<void> {
  const rounds = new Map<string, Map<string, Figures[]>>()
  for (let round = 0; round < context.rounds; round++) {
    for (const [at, peer] of peers.entries()) {
      const place = `round ${round + 1} of ${context.rounds}, ${peer.name}`
      const measured = await measureOnce(peer, place, context)
      const of = rounds.get(peer.name) ?? new Map<string, Figures[]>()
      for (const [shape, figures] of measured) {
        of.set(shape, [...(of.get(shape) ?? []), figures])
        context.point({ group: shape, at: at + 1, label: `${round + 1}: ${peer.name}`, figures })
      }
      rounds.set(peer.name, of)
    }
  }
  const [ours, ...others] = peers.map(({ name }) => name)
  for (const other of others) {
    for (const [name, value] of ratiosOf(rounds, ours ?? '', other)) context.ratio(name, value)
  }
}

async function measureOnce(
  peer: Peer,
  place: string,
  context: Context,
): Promise<Map<string, Figures>> {
  const measured = new Map<string, Figures>()
  context.show(`${place}: starts`)
  const running = await peer.start()
  try {
    const warmSeconds = Math.max(
      Math.min(context.warmSeconds, SHORT_WARM_SECONDS),
      context.warmSeconds * peer.warmShare,
    )
    context.show(`${place}: ${warmSeconds} s of warming`)
    if (warmSeconds > 0) await running.warm(warmSeconds)
    for (const shape of SHAPES) {
      context.show(`${place}: ${shape.name}`)
      measured.set(shape.name, await running.send(shape, context.seconds))
    }
    if (running.pull !== undefined) {
      context.show(`${place}: reads back`)
      measured.set(PULL, await running.pull())
    }
    return measured
  } finally {
    await running.stop()
  }
}

/** Higher is better in all of them. */
export function ratiosOf(rounds: Rounds, ours: string, other: string): Map<string, number> {
  const ratios = new Map<string, number>()
  for (const { shape, figure, inverse } of WANTED) {
    const [a, b] = [rounds.get(ours)?.get(shape) ?? [], rounds.get(other)?.get(shape) ?? []]
    const quotients = a.flatMap((figures, round) => {
      const [own, theirs] = [figures[figure], b[round]?.[figure]]
      if (own === undefined || theirs === undefined) return []
      return [inverse ? theirs / own : own / theirs]
    })
    if (quotients.length === 0) continue
    const what = inverse ? `${figure}, ${other} by ${ours}` : `${figure}, ${ours} by ${other}`
    ratios.set(`${shape}: ${what}`, median(quotients))
  }
  return ratios
}

/** NaN when nothing was measured. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle] ?? Number.NaN
  if (sorted.length % 2 === 1) return high
  return ((sorted[middle - 1] ?? Number.NaN) + high) / 2
}
