/** From values to places on an axis, linear or logarithmic, with ticks at round numbers. */

export interface Axis {
  /** 0 at the low end, 1 at the high one. */
  place(value: number): number
  readonly ticks: readonly number[]
}

const WANTED_TICKS = 5

/** Values that cannot be shown (not finite, not above zero on a logarithmic axis) do not count. */
export function axisOf(values: readonly number[], logarithmic: boolean): Axis {
  const shown = values.filter((value) => canShow(value, logarithmic))
  if (shown.length === 0) return { place: () => 0, ticks: [] }
  return logarithmic ? logarithmicAxis(shown) : linearAxis(shown)
}

export function canShow(value: number, logarithmic: boolean): boolean {
  return Number.isFinite(value) && (!logarithmic || value > 0)
}

/** From zero, so that a small difference does not look like a large one. */
function linearAxis(values: readonly number[]): Axis {
  const low = Math.min(0, ...values)
  const span = Math.max(...values) - low || 1
  const step = roundStep(span / WANTED_TICKS)
  const high = Math.ceil((low + span) / step - 1e-9) * step
  const first = Math.floor(low / step + 1e-9)
  const count = Math.round(high / step) - first + 1
  return {
    place: (value) => (value - first * step) / (high - first * step),
    ticks: Array.from({ length: count }, (_, at) => Number(((first + at) * step).toPrecision(12))),
  }
}

function logarithmicAxis(values: readonly number[]): Axis {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9)
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9))
  return {
    place: (value) => (Math.log10(value) - low) / (high - low),
    ticks: Array.from({ length: high - low + 1 }, (_, at) => 10 ** (low + at)),
  }
}

/** 1, 2 or 5 times a power of ten, the next one above. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step))
  const found = [1, 2, 5].find((factor) => factor * power >= step * (1 - 1e-9))
  return (found ?? 10) * power
}
