/** A store's report for people: where its data ends, what it uses, what is wrong. */
import type { Features, StoreReport } from '@ringledger/upgrade'
import { formatTime } from '../time.ts'
import { columns, type Section, type View } from '../view.ts'

const FEATURE_TEXT: Readonly<Record<keyof Features, string>> = {
  messageV2: 'long topics (V2)',
  ipv6Hosts: 'IPv6 hosts',
  compressed: 'compressed bodies',
  halfMessages: 'half messages',
  innerBatches: 'inner batches',
  timerMessages: 'timer messages',
  delayedMessages: 'delayed messages',
}

export function checkView(report: StoreReport): View {
  return {
    json: report,
    sections: [
      summary(report),
      {
        kind: 'table',
        columns: columns('File', '>Size', '>Ends at', 'End', '>Messages', 'xxhash64 of the data'),
        rows: report.files.map((file) => {
          return [file.name, file.sizeBytes, file.endOffset, file.end, file.messages, file.digest]
        }),
        empty: 'There is no commit log file.',
      },
      problems(report),
    ],
  }
}

function summary(report: StoreReport): Section {
  const last = report.lastMessage
  return {
    kind: 'fields',
    fields: [
      ['Store', report.store],
      ['Log', `${report.firstOffset} to ${report.endOffset}, ${report.messages} messages`],
      ['Queues', `${report.queues.length} with messages, ${report.consumeQueues.length} on disk`],
      ['Last message', last === undefined ? undefined : messageText(last)],
      ['Uses', usedFeatures(report.features)],
      ['Stopped in order', report.abort ? 'no: the file "abort" is there' : 'yes'],
      ['Tables', report.config.map(({ name, state }) => `${name} ${state}`).join(', ')],
    ],
  }
}

/** One line by which a person finds the message again. */
export function messageText(message: NonNullable<StoreReport['lastMessage']>): string {
  const { topic, queueId, queueOffset, storeTimeMs, offset } = message
  const time = formatTime(storeTimeMs) ?? 'no time'
  return `${topic}, queue ${queueId}, queue offset ${queueOffset}, stored ${time}, at ${offset}`
}

function usedFeatures(features: Features): string {
  const used = (Object.keys(FEATURE_TEXT) as (keyof Features)[]).filter((key) => features[key] > 0)
  return used.map((key) => `${features[key]} ${FEATURE_TEXT[key]}`).join(', ') || 'nothing special'
}

function problems(report: StoreReport): Section {
  if (report.problems.length === 0) {
    return { kind: 'text', text: 'Nothing is wrong with this copy by itself.' }
  }
  return { kind: 'text', text: problemLines(report).join('\n') }
}

/** What is wrong with one copy, and what to do. */
export function problemLines({ problems }: StoreReport): string[] {
  return problems.map(({ text, advice, blocks }) => {
    return `${blocks ? 'STOP' : 'note'}  ${text}\n      ${advice}`
  })
}
