/**
 * Totals of messages stored and read as they stood when the day began, for the tools' "today" and
 * "yesterday" (code 28).
 */
export interface MessageTotals {
  readonly put: number
  readonly get: number
}

const NOTHING: MessageTotals = { put: 0, get: 0 }

export class DayTotals {
  #day: string | undefined
  #todayMorning: MessageTotals = NOTHING
  #yesterdayMorning: MessageTotals = NOTHING

  get todayMorning(): MessageTotals {
    return this.#todayMorning
  }

  get yesterdayMorning(): MessageTotals {
    return this.#yesterdayMorning
  }

  /** To be called now and then; days are those of the local time zone. */
  observe(wallMs: number, now: MessageTotals): void {
    const day = new Date(wallMs).toDateString()
    if (day === this.#day) return
    if (this.#day !== undefined) {
      this.#yesterdayMorning = this.#todayMorning
      this.#todayMorning = now
    }
    this.#day = day
  }
}
