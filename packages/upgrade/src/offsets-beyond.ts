/**
 * Committed offsets that lie beyond a log. A Slave gets its Master's offsets on a way of its own,
 * so one that lags may have offsets of messages that it lacks: a reason to stop for a copy by
 * itself, none for a group in which another copy has those messages.
 */
import type { Comparison } from './compare.ts'
import { type CommittedOffset, committedOffsets } from './config-tables.ts'
import type { StoreReport } from './report.ts'

export interface OffsetBeyond extends CommittedOffset {
  /** Of the queue, in the log. */
  readonly endOffset: number
}

/** Of the tables of `report`, in queues of `log`; one that holds nothing has expired, or is new. */
export function offsetsBeyond(
  report: Pick<StoreReport, 'config'>,
  log: Pick<StoreReport, 'queues'>,
): OffsetBeyond[] {
  const ends = new Map(
    log.queues.map((queue) => [`${queue.topic}@${queue.queueId}`, queue.lastQueueOffset + 1]),
  )
  return committedOffsets(report.config).flatMap((committed) => {
    const endOffset = ends.get(`${committed.topic}@${committed.queueId}`)
    return endOffset !== undefined && committed.offset > endOffset
      ? [{ ...committed, endOffset }]
      : []
  })
}

/** The reports, with what does not stop them in a group with the reference. */
export function reportsOfGroup(
  reports: readonly StoreReport[],
  { reference, copies }: Comparison,
): StoreReport[] {
  const whole = reports.find(({ store }) => store === reference)
  return reports.map((report) => {
    const copy = copies.find(({ store }) => store === report.store)
    if (whole === undefined || copy?.verdict.kind !== 'prefix') return report
    if (offsetsBeyond(report, whole).length > 0) return report
    const problems = report.problems.map((problem) =>
      problem.code === 'OFFSETS_AHEAD'
        ? {
            ...problem,
            advice: `${reference} has these messages: its member gets them before it counts`,
            blocks: false,
          }
        : problem,
    )
    return { ...report, problems }
  })
}
