/**
 * Counters that RocketMQ's tools ask for (codes 28, 315): totals, and sums and rates over the last
 * minute, hour and day. Owns the bound on how many topics and groups are counted (what comes after
 * that is counted in the broker's totals only) and the rule that a counter which stood still for a
 * day is forgotten.
 */

/** Name of a statistic, as VIEW_BROKER_STATS_DATA asks for it. */
export const StatName = {
  TOPIC_PUT_NUMS: 'TOPIC_PUT_NUMS',
  TOPIC_PUT_SIZE: 'TOPIC_PUT_SIZE',
  GROUP_GET_NUMS: 'GROUP_GET_NUMS',
  GROUP_GET_SIZE: 'GROUP_GET_SIZE',
  SNDBCK_PUT_NUMS: 'SNDBCK_PUT_NUMS',
  BROKER_PUT_NUMS: 'BROKER_PUT_NUMS',
  BROKER_GET_NUMS: 'BROKER_GET_NUMS',
} as const
export type StatName = (typeof StatName)[keyof typeof StatName]

/** Key of the counters that are there once per broker. */
export const WHOLE_BROKER = ''
const MAX_KEYS = 100_000
/** Samples are taken this often; a minute is the last six of them. */
export const SAMPLE_MS = 10_000
const SAMPLES_PER_TEN_MINUTES = 60
const SAMPLES_PER_HOUR = 360

export interface StatWindow {
  readonly sum: number
  /** Per second. */
  readonly tps: number
  readonly avgpt: number
}

export interface StatView {
  readonly minute: StatWindow
  readonly hour: StatWindow
  readonly day: StatWindow
}

/**
 * How far back a window reaches and at which ticks it is sampled; the samples' times are the same
 * for all counters.
 */
class Window {
  readonly steps: number
  readonly everyTicks: number
  readonly #timesMs: number[] = [0]

  constructor(steps: number, everyTicks: number) {
    this.steps = steps
    this.everyTicks = everyTicks
  }

  isDue(tick: number): boolean {
    return tick % this.everyTicks === 0
  }

  sampledAt(nowMs: number): void {
    keep(this.#timesMs, nowMs, this.steps)
  }

  /** When the sample was taken that has `after` younger ones. */
  timeMs(after: number): number {
    return this.#timesMs.at(-1 - after) ?? 0
  }
}

/** One sample more than the window has steps, since a sum is a difference. */
function keep(samples: number[], sample: number, steps: number): void {
  samples.push(sample)
  if (samples.length > steps + 1) samples.shift()
}

/** The counter's value and how often it was added to, at each sample of one window. */
interface Samples {
  readonly values: number[]
  readonly times: number[]
}

const newSamples = (): Samples => ({ values: [0], times: [0] })

class Counter {
  value = 0
  times = 0
  readonly samples: readonly [minute: Samples, hour: Samples, day: Samples] = [
    newSamples(),
    newSamples(),
    newSamples(),
  ]
}

export class BrokerStats {
  readonly #counters = new Map<string, Counter>()
  readonly #windows: readonly [minute: Window, hour: Window, day: Window] = [
    new Window(6, 1),
    new Window(6, SAMPLES_PER_TEN_MINUTES),
    new Window(24, SAMPLES_PER_HOUR),
  ]
  #tick = 0

  /** Adds to one counter; `times` is how many events that were. */
  add(name: StatName, key: string, value: number, times = 1): void {
    const counter = this.#counterOf(name, key)
    if (counter === undefined) return
    counter.value += value
    counter.times += times
  }

  /** Messages that a group pulled. */
  pulled(topic: string, group: string, count: number, sizeBytes: number): void {
    const key = `${topic}@${group}`
    this.add(StatName.GROUP_GET_NUMS, key, count)
    this.add(StatName.GROUP_GET_SIZE, key, sizeBytes)
    this.add(StatName.BROKER_GET_NUMS, WHOLE_BROKER, count)
  }

  /** Total of a counter since start. */
  total(name: StatName, key: string): number {
    return this.#counters.get(`${name}:${key}`)?.value ?? 0
  }

  /** Undefined when nothing was counted under that name and key. */
  view(name: string, key: string, nowMs: number): StatView | undefined {
    const counter = this.#counters.get(`${name}:${key}`)
    if (counter === undefined) return undefined
    const [minute, hour, day] = this.#windows
    return {
      minute: windowOf(counter, counter.samples[0], minute, nowMs),
      hour: windowOf(counter, counter.samples[1], hour, nowMs),
      day: windowOf(counter, counter.samples[2], day, nowMs),
    }
  }

  /** Per second, over about the last `spanMs` (ten minutes at most; less when there is less). */
  rate(name: StatName, key: string, spanMs: number, nowMs: number): number {
    const counter = this.#counters.get(`${name}:${key}`)
    if (counter === undefined) return 0
    const [minute, hour] = this.#windows
    const isLong = spanMs > minute.steps * SAMPLE_MS
    const window = isLong ? hour : minute
    const { values } = counter.samples[isLong ? 1 : 0]
    let after = 0
    while (after + 1 < values.length && nowMs - window.timeMs(after) < spanMs) after += 1
    const seconds = (nowMs - window.timeMs(after)) / 1000
    return seconds > 0 ? (counter.value - (values.at(-1 - after) ?? 0)) / seconds : 0
  }

  /** To be called every SAMPLE_MS. */
  sample(nowMs: number): void {
    const due = this.#windows.map((window) => window.isDue(this.#tick))
    for (const [index, window] of this.#windows.entries()) if (due[index]) window.sampledAt(nowMs)
    for (const [key, counter] of this.#counters) {
      for (const [index, window] of this.#windows.entries()) {
        if (due[index]) takeSample(counter, counter.samples[index] as Samples, window)
      }
      if (due[2] && this.#stoodStill(counter)) this.#counters.delete(key)
    }
    this.#tick += 1
  }

  #stoodStill({ value, samples: [, , day] }: Counter): boolean {
    return day.values.length > this.#windows[2].steps && day.values[0] === value
  }

  #counterOf(name: StatName, key: string): Counter | undefined {
    const full = `${name}:${key}`
    const known = this.#counters.get(full)
    if (known !== undefined || this.#counters.size >= MAX_KEYS) return known
    const counter = new Counter()
    this.#counters.set(full, counter)
    return counter
  }
}

function takeSample(counter: Counter, samples: Samples, window: Window): void {
  keep(samples.values, counter.value, window.steps)
  keep(samples.times, counter.times, window.steps)
}

/** From the oldest sample of the window to now. */
function windowOf(counter: Counter, samples: Samples, window: Window, nowMs: number): StatWindow {
  const sum = counter.value - (samples.values[0] ?? 0)
  const times = counter.times - (samples.times[0] ?? 0)
  const seconds = (nowMs - window.timeMs(samples.values.length - 1)) / 1000
  return { sum, tps: seconds > 0 ? sum / seconds : 0, avgpt: times > 0 ? sum / times : 0 }
}
