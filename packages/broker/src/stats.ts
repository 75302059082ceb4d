/**
 * Counters that RocketMQ's tools ask for (code 315): sums and rates over the last minute, hour and day. Owns the
 * bound on how many topics and groups are counted; what comes after that is counted in the totals only.
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

const MAX_KEYS = 100_000
/** Samples are taken this often; a minute is the last six of them. */
export const SAMPLE_MS = 10_000
const MINUTE_SAMPLES = 6
const HOUR_SAMPLES = 6
const DAY_SAMPLES = 24
const SAMPLES_PER_TEN_MINUTES = 60
const SAMPLES_PER_HOUR = 360

export interface StatWindow {
  readonly sum: number
  /** Per second. */
  readonly tps: number
  readonly avgpt: number
}

interface Sample {
  readonly atMs: number
  readonly value: number
  readonly times: number
}

class StatItem {
  value = 0
  times = 0
  readonly #minute: Sample[] = []
  readonly #hour: Sample[] = []
  readonly #day: Sample[] = []

  sample(nowMs: number, tick: number): void {
    const sample = { atMs: nowMs, value: this.value, times: this.times }
    keep(this.#minute, sample, MINUTE_SAMPLES)
    if (tick % SAMPLES_PER_TEN_MINUTES === 0) keep(this.#hour, sample, HOUR_SAMPLES)
    if (tick % SAMPLES_PER_HOUR === 0) keep(this.#day, sample, DAY_SAMPLES)
  }

  get minute(): StatWindow {
    return windowOf(this.#minute)
  }

  get hour(): StatWindow {
    return windowOf(this.#hour)
  }

  get day(): StatWindow {
    return windowOf(this.#day)
  }
}

/** One sample more than the window has steps, since a sum is a difference. */
function keep(samples: Sample[], sample: Sample, steps: number): void {
  samples.push(sample)
  if (samples.length > steps + 1) samples.shift()
}

function windowOf(samples: readonly Sample[]): StatWindow {
  const first = samples[0]
  const last = samples.at(-1)
  if (first === undefined || last === undefined || first === last) {
    return { sum: 0, tps: 0, avgpt: 0 }
  }
  const sum = last.value - first.value
  const times = last.times - first.times
  const seconds = (last.atMs - first.atMs) / 1000
  return { sum, tps: seconds > 0 ? sum / seconds : 0, avgpt: times > 0 ? sum / times : 0 }
}

export class BrokerStats {
  readonly #items = new Map<string, StatItem>()
  #tick = 0
  #nextSampleMs = 0

  /** Adds to one counter. */
  add(name: StatName, key: string, value: number): void {
    const item = this.#itemOf(name, key)
    if (item === undefined) return
    item.value += value
    item.times += 1
  }

  /** A counter whose total is known elsewhere. */
  set(name: StatName, key: string, value: number): void {
    const item = this.#itemOf(name, key)
    if (item !== undefined) item.value = value
  }

  /** Messages that a group pulled. */
  pulled(topic: string, group: string, count: number, sizeBytes: number): void {
    const key = `${topic}@${group}`
    this.add(StatName.GROUP_GET_NUMS, key, count)
    this.add(StatName.GROUP_GET_SIZE, key, sizeBytes)
    this.add(StatName.BROKER_GET_NUMS, '', count)
  }

  /** Total of a counter since start. */
  total(name: StatName, key: string): number {
    return this.#items.get(`${name}:${key}`)?.value ?? 0
  }

  view(
    name: string,
    key: string,
  ): { minute: StatWindow; hour: StatWindow; day: StatWindow } | undefined {
    const item = this.#items.get(`${name}:${key}`)
    return item === undefined ? undefined : { minute: item.minute, hour: item.hour, day: item.day }
  }

  get nextSampleMs(): number {
    return this.#nextSampleMs
  }

  /** Takes a sample when it is time. `refresh` sets the counters that are read elsewhere first. */
  sample(nowMs: number, refresh: (stats: BrokerStats) => void): void {
    if (nowMs < this.#nextSampleMs) return
    this.#nextSampleMs = nowMs + SAMPLE_MS
    refresh(this)
    for (const item of this.#items.values()) item.sample(nowMs, this.#tick)
    this.#tick += 1
  }

  #itemOf(name: StatName, key: string): StatItem | undefined {
    const full = `${name}:${key}`
    const known = this.#items.get(full)
    if (known !== undefined || this.#items.size >= MAX_KEYS) return known
    const item = new StatItem()
    this.#items.set(full, item)
    return item
  }
}
