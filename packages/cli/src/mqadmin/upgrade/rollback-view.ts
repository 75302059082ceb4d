/** What a rollback wrote, and what clients will notice. */
import type { RollbackReport } from '@ringledger/upgrade'
import type { Section, View } from '../view.ts'

export function rollbackView(report: RollbackReport): View {
  return { json: report, sections: [summary(report), changes(report), ...remarks(report)] }
}

function summary(report: RollbackReport): Section {
  const { built, lastEntry } = report
  return {
    kind: 'fields',
    fields: [
      ['Plain store', report.target],
      ['Made from', report.source],
      ['Log', `${report.firstOffset} to ${report.endOffset}, ${report.messages} messages`],
      ['Queues', `${built.queues} with ${built.units} units, built with the key index`],
      ['Last entry', `index ${lastEntry.index}, term ${lastEntry.term}`],
      ['Delayed', `${built.delayedPending} messages are still to be delivered`],
      ['Left out', `${report.stateRecords} records of RingLedger; config/ has what they say`],
    ],
  }
}

function changes(report: RollbackReport): Section {
  const { firstMoved, unmovedMessages, messages } = report
  const lines = ['What changes for clients:']
  if (firstMoved === undefined) lines.push('  nothing: no message came to stand elsewhere.')
  else {
    const { topic, queueId, queueOffset, fromId, toId } = firstMoved
    lines.push(
      `  ${messages - unmovedMessages} messages have another physical offset and another offset id (offsetMsgId), from`,
      `  ${topic}, queue ${queueId}, queue offset ${queueOffset} on: ${fromId} is ${toId} now.`,
      '  Ids that somebody wrote down find nothing any more; unique ids (msgId) and keys do.',
    )
  }
  if (unmovedMessages > 0) {
    lines.push(`  ${unmovedMessages} messages from before DLedger mode keep theirs.`)
  }
  lines.push('  Queue offsets, committed offsets, topics and groups are what they were.')
  return { kind: 'text', text: lines.join('\n') }
}

function remarks(report: RollbackReport): Section[] {
  const lines: string[] = []
  if (report.uncommittedEntries > 0) {
    lines.push(
      `note  ${report.uncommittedEntries} entries at the end were not known to be committed here and are taken over.`,
      '      Roll back the member whose last entry has the highest term, and then the highest index.',
    )
  }
  if (report.built.expiredQueues > 0) {
    lines.push(
      `note  ${report.built.expiredQueues} queues have no message any more and go on at their offset.`,
    )
  }
  for (const line of report.built.shortQueues) lines.push(`note  ${line}.`)
  return lines.length === 0 ? [] : [{ kind: 'text', text: lines.join('\n') }]
}
