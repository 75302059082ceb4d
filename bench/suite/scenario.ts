/**
 * What a scenario is, and what comes out of it. Owns the form of a figure: a number whose name
 * ends with its unit, so that tables, plots and JSON show the same thing without a list of columns.
 */

/** `p99Ms`, `acknowledgedPerSecond`, `residentBytes`, `share`; NaN: could not be measured. */
export type Figures = Readonly<Record<string, number>>

/** One row of a table, and one point of every plot. */
export interface Point {
  /** Rows of one group stand in one table and are one curve: a system, a number of nodes. */
  readonly group: string
  /** Where it stands on the horizontal axis. */
  readonly at: number
  /** The same for readers. */
  readonly label: string
  readonly figures: Figures
}

/** A curve for each group and each of these figures. */
export interface Plot {
  readonly title: string
  readonly x: string
  readonly figures: readonly string[]
  /** Only points of this group; of all when absent. */
  readonly group?: string
  readonly logX?: boolean
  readonly logY?: boolean
}

export interface Outcome {
  /** `scenario/rates`. */
  readonly name: string
  readonly title: string
  readonly plots: readonly Plot[]
  readonly points: readonly Point[]
  /**
   * Of two figures of this run: what still can be compared with another day's. Higher is better.
   */
  readonly ratios: Figures
}

export interface Effort {
  /** How long each point is measured. */
  readonly seconds: number
  /** Only to see that it works: as little as makes sense, the figures mean nothing. */
  readonly quick: boolean
  /** Rounds of peers, interleaved; the median counts. */
  readonly rounds: number
  /** How long a virtual machine is warmed before each round. */
  readonly warmSeconds: number
  /** How far a growth scenario grows the log. */
  readonly messages: number
}

export interface Context extends Effort {
  /** Progress: a line that the next one replaces. */
  show(line: string): void
  point(point: Point): void
  /** Higher is better. */
  ratio(name: string, value: number): void
}

/** A file `<kind>/<name>.scenario.ts` exports one of these as `scenario`. */
export interface Scenario {
  /** One line for `--list`. */
  readonly title: string
  readonly plots: readonly Plot[]
  run(context: Context): Promise<void>
}

export type ScenarioMessage =
  | { kind: 'scenario'; title: string; plots: readonly Plot[] }
  | { kind: 'progress'; line: string }
  | { kind: 'point'; point: Point }
  | { kind: 'ratio'; name: string; value: number }
  | { kind: 'failed'; reason: string }
