/** What the scenarios share: the peak of a closed loop, and latency at a part of it. */

import { type SendResult, sendLoad } from '../load/send-load.ts'
import type { SendTemplate } from '../resilience/send-connection.ts'
import { sendTemplates } from '../resilience/send-connection.ts'
import type { Context, Figures } from '../suite/scenario.ts'

export const QUEUES = 8
export const BODY_BYTES = 1024
export const CONNECTIONS = 4
const PEAK_WINDOW = 256
const WARMUP_SECONDS = 2

export interface Target {
  readonly address: string
  readonly templates: readonly SendTemplate[]
  readonly connections: number
}

export function target(address: string, topic: string, bodyBytes: number = BODY_BYTES): Target {
  return {
    address,
    templates: sendTemplates(topic, bodyBytes, QUEUES),
    connections: CONNECTIONS,
  }
}

/** A closed loop: what is answered when as much is sent as is answered. */
export function measureClosed(to: Target, window: number, context: Context): Promise<SendResult> {
  return sendLoad({ ...to, window, ...times(context) })
}

/** Messages a second with 1024 unanswered, or one for each connection where there are more. */
export function measurePeak(to: Target, context: Context): Promise<SendResult> {
  const window = Math.ceil((CONNECTIONS * PEAK_WINDOW) / to.connections)
  return measureClosed(to, window, context)
}

/** An open loop. */
export function measureRate(to: Target, rate: number, context: Context): Promise<SendResult> {
  return sendLoad({ ...to, rate: Math.max(1, rate), ...times(context) })
}

export function closedFigures(result: SendResult): Figures {
  const { p50Ms, p99Ms, p999Ms, maxMs } = result.latency
  const { acknowledgedPerSecond, processorPerMessageUs: loadProcessorUs } = result
  const failed = failedOf(result)
  return { acknowledgedPerSecond, p50Ms, p99Ms, p999Ms, maxMs, loadProcessorUs, failed }
}

export function openFigures(rate: number, result: SendResult): Figures {
  const { acknowledgedPerSecond, latency, senderDelay, unanswered } = result
  const { p50Ms, p99Ms, p999Ms, maxMs } = latency
  return {
    sentPerSecond: rate,
    acknowledgedPerSecond,
    p50Ms,
    p99Ms,
    p999Ms,
    maxMs,
    senderP99Ms: senderDelay.p99Ms,
    failed: failedOf(result),
    unanswered,
  }
}

function failedOf({ failures }: SendResult): number {
  return [...failures.values()].reduce((sum, count) => sum + count, 0)
}

function times({ quick, seconds }: Context): { warmupSeconds: number; seconds: number } {
  return { warmupSeconds: quick ? 0.2 : WARMUP_SECONDS, seconds }
}

/** A peak, and latency in an open loop at half of it and at four fifths. Returns the peak. */
export async function peakAndLatency(
  to: Target,
  { group, at, label }: { group: string; at: number; label: string },
  context: Context,
): Promise<number> {
  context.show(`${label}: peak`)
  const peak = await measurePeak(to, context)
  const figures: Record<string, number> = { peakPerSecond: peak.acknowledgedPerSecond }
  let failed = failedOf(peak)
  for (const percent of [50, 80]) {
    const rate = (peak.acknowledgedPerSecond * percent) / 100
    context.show(`${label}: latency at ${percent} % of the peak`)
    const result = await measureRate(to, rate, context)
    figures[`p50At${percent}Ms`] = result.latency.p50Ms
    figures[`p99At${percent}Ms`] = result.latency.p99Ms
    figures[`p999At${percent}Ms`] = result.latency.p999Ms
    failed += failedOf(result) + result.unanswered
  }
  context.point({ group, at, label, figures: { ...figures, failed } })
  return peak.acknowledgedPerSecond
}

export const PEAK_PLOT_FIGURES: readonly string[] = ['peakPerSecond']
export const LATENCY_PLOT_FIGURES: readonly string[] = ['p50At50Ms', 'p99At50Ms', 'p99At80Ms']
