/** What is wrong with one copy by itself, in words that say what to do. */
import { offsetsBeyond } from './offsets-beyond.ts'
import type { Problem, StoreReport } from './report.ts'

type Unjudged = Omit<StoreReport, 'problems'>

export function findProblems(report: Unjudged): Problem[] {
  if (report.files.length === 0) return [noStore(report)]
  return [
    ...logProblems(report),
    ...fileProblems(report),
    ...damageProblems(report),
    ...tableProblems(report),
  ]
}

function noStore(report: Unjudged): Problem {
  const raft = report.raftDirectories.length > 0
  return {
    code: raft ? 'ALREADY_RAFT' : 'NO_STORE',
    text: raft
      ? `there is no plain commit log, only ${report.raftDirectories.join(', ')}: this store is a Raft member's`
      : 'there is no commit log file: the store is empty',
    advice: raft
      ? 'nothing is to be upgraded here'
      : 'an empty server may join the group; give the right storePathRootDir if this one should not be empty',
    blocks: false,
  }
}

function logProblems(report: Unjudged): Problem[] {
  const problems: Problem[] = []
  if (report.abort) {
    problems.push({
      code: 'ABORT',
      text: 'the file "abort" is there: the broker still runs, or was killed',
      advice:
        'stop the broker in order (mqshutdown broker), start it once more if it was killed, then check again',
      blocks: true,
    })
  }
  if (report.raftDirectories.length > 0) {
    problems.push({
      code: 'ALREADY_RAFT',
      text: `${report.raftDirectories.join(', ')} holds a Raft log already`,
      advice:
        'this store was upgraded before: compare what lies before it only if it is to start anew',
      blocks: true,
    })
  }
  if (report.features.messageV2 > 0) {
    problems.push({
      code: 'V2_MESSAGES',
      text: `${report.features.messageV2} messages have a topic of more than 127 bytes (format V2)`,
      advice: 'brokers of 4.9 cut the log off at the first of them: do not let one open this store',
      blocks: false,
    })
  }
  if (report.features.innerBatches > 0) {
    problems.push({
      code: 'BATCH_QUEUES',
      text: `${report.features.innerBatches} messages are batches of a batch queue (queue.type=BatchCQ)`,
      advice:
        'they are served whole; but what is sent to these topics from now on is stored message by ' +
        'message, which batch queues of Apache do not show: then a rollback is refused',
      blocks: false,
    })
  }
  return problems
}

function fileProblems(report: Unjudged): Problem[] {
  const problems: Problem[] = []
  for (const name of report.foreignFiles) {
    problems.push({
      code: 'FOREIGN_FILE',
      text: `commitlog/${name} is no commit log file`,
      advice: 'Apache refuses to load with it there: move it away',
      blocks: true,
    })
  }
  const { segmentBytes } = report
  let expected = report.firstOffset
  for (const file of report.files) {
    if (file.sizeBytes !== segmentBytes) {
      problems.push({
        code: 'FILE_SIZE',
        text: `${file.name} has ${file.sizeBytes} bytes, the others ${segmentBytes}`,
        advice:
          'it was not copied whole: copy it again (with rsync --sparse or cp --sparse=always)',
        blocks: true,
      })
    }
    if (file.offset !== expected) {
      problems.push({
        code: 'FILE_MISSING',
        text: `between offset ${expected} and ${file.offset} no file is there`,
        advice: 'copy what is missing from another broker of the group',
        blocks: true,
      })
    }
    expected = file.offset + segmentBytes
  }
  return problems
}

function damageProblems(report: Unjudged): Problem[] {
  const problems: Problem[] = []
  for (const file of report.files) {
    for (const { offset, reason, resumesAt } of file.damage) {
      const where = `${file.name} at offset ${offset}`
      problems.push({
        code: 'DAMAGE',
        text:
          resumesAt === undefined
            ? `${where}: the last message is not whole (${reason})`
            : `${where}: ${resumesAt - offset} bytes are no message (${reason}); whole messages go on at ${resumesAt}`,
        advice:
          resumesAt === undefined
            ? 'compare with the other copies: one that has the message whole is to be preferred'
            : 'Apache would drop everything behind it: copy this file from another broker of the group',
        blocks: resumesAt !== undefined,
      })
    }
    const inside = file.offset + report.segmentBytes < report.endOffset
    if (inside && file.end !== 'blank') {
      problems.push({
        code: 'LOG_ENDS_EARLY',
        text: `${file.name} ends at offset ${file.endOffset} without its closing mark, and the log goes on in the next file`,
        advice: 'copy this file from another broker of the group',
        blocks: true,
      })
    }
  }
  return problems
}

function tableProblems(report: Unjudged): Problem[] {
  const problems: Problem[] = []
  for (const { name, state } of report.config) {
    if (state !== 'unreadable') continue
    problems.push({
      code: 'CONFIG_UNREADABLE',
      text: `config/${name} and its .bak cannot be read`,
      advice: 'copy config/ from the master',
      blocks: true,
    })
  }
  const beyond = offsetsBeyond(report, report)
  const [first] = beyond
  if (first !== undefined) {
    problems.push({
      code: 'OFFSETS_AHEAD',
      text:
        `${beyond.length} committed offsets lie beyond the log, e.g. ${first.group} at ` +
        `${first.offset} of ${first.topic}/${first.queueId}, which ends at ${first.endOffset}`,
      advice: 'this log lacks its end: compare it with the copy that has it',
      blocks: true,
    })
  }
  const broken = report.queues.filter(({ breaks }) => breaks > 0)
  if (broken.length > 0) {
    const [queue] = broken
    problems.push({
      code: 'QUEUE_BREAK',
      text: `queue offsets do not follow each other in ${broken.length} ${broken.length === 1 ? 'queue' : 'queues'}, e.g. ${queue?.topic}/${queue?.queueId}`,
      advice:
        'right for a topic that was deleted and made again; else compare with the other copies',
      blocks: false,
    })
  }
  return problems
}
