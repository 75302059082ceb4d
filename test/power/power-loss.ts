/** The power loss campaign as a command: `node test/power/power-loss.ts --help`. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { Campaign, type CampaignResult, type Progress } from './campaign.ts'

const HELP = `Cuts the power under a group of three brokers, again and again, under load.

  node test/power/power-loss.ts [options]

  --rounds <n>        rounds (500)
  --seed <n>          decides who loses power, how often, and what is left (random); the
                      moments depend on the machine: a seed does not repeat a run exactly
  --fresh-every <n>   full audit and a new group after so many rounds (25)
  --sync-micros <n>   a sync takes up to twice this long (800)
  --senders <n>       messages under way (24)
  --pace-ms <n>       each sender sends at most one message in this time (8)
  --all               every cut takes all three nodes
  --lie               the disks answer fdatasync and do nothing: messages must be lost
  --json              the result as one line of JSON
  --help

Exit code 0 when every promise was kept. Needs gcc. After a broken promise the group is stopped and
its stores, logs and journals are kept; the last lines say where.
`

function whole(text: string | undefined, name: string, least: number): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < least) {
    throw new Error(`--${name} ${text ?? ''}: a whole number from ${least} on is needed`)
  }
  return value
}

function showProgress(rounds: number, progress: Progress): void {
  const { round, victims, roundMs, acknowledged, lost } = progress
  const { backMs, servingMs } = progress
  const parts = [
    `round ${round}/${rounds}`,
    `${Math.round(roundMs)} ms`,
    `back after ${Math.round(backMs)} ms, serving after ${Math.round(servingMs)} ms`,
    `power lost: ${victims}`,
    `${acknowledged} acknowledged`,
    `${lost.sectors} sectors and ${lost.names} names lost`,
  ]
  process.stderr.write(`${parts.join(', ')}\n`)
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
}

function report(seed: number, result: CampaignResult, asJson: boolean): void {
  const { findings, roundMs, kept, failure, refusals, ...counts } = result
  const { lost, changed, other } = findings
  const times = { p50: quantile(roundMs, 0.5), p99: quantile(roundMs, 0.99) }
  const wrong = { messagesLost: lost, messagesChanged: changed, otherFindings: other }
  if (asJson) {
    const told = Object.fromEntries(refusals)
    const all = { seed, ...counts, ...wrong, roundMs: times, refusals: told, failure, kept }
    process.stdout.write(`${JSON.stringify(all)}\n`)
    return
  }
  process.stdout.write(
    `seed ${seed}: ${counts.rounds} rounds, ${counts.cuts} cuts of power ` +
      `(${counts.allAtOnce} times all nodes, ${counts.cutsInRecovery} during recovery)\n` +
      `${counts.acknowledged} acknowledged, compared ${counts.comparisons} times: ` +
      `${lost} lost, ${changed} changed, ${other} other findings\n` +
      `lost by the disks: ${counts.lost.sectors} sectors in ${counts.lost.files} files ` +
      `(${counts.lost.tornSectors} sectors of these files stayed), ${counts.lost.names} names, ` +
      `${counts.lost.lies} lies\nround: p50 ${times.p50} ms, p99 ${times.p99} ms\n` +
      [...refusals].map(([reason, count]) => `${count} x ${reason}\n`).join(''),
  )
  if (failure === undefined) return
  process.stdout.write(
    `FAILED: ${failure}\n` +
      `Kept in ${kept}: logs/<node>.log, the stores <node>/ as the group left them, and in\n` +
      '<node>-disk/ what was not synced since (test/power/journal.ts). A node on its store:\n' +
      `  node packages/cli/bin/mqbroker.mjs -c ${kept}/n0.conf\n`,
  )
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '500' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      'fresh-every': { type: 'string', default: '25' },
      'sync-micros': { type: 'string', default: '800' },
      senders: { type: 'string', default: '24' },
      'pace-ms': { type: 'string', default: '8' },
      all: { type: 'boolean', default: false },
      lie: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return
  }
  const rounds = whole(values.rounds, 'rounds', 1)
  const seed = whole(values.seed, 'seed', 0)
  const campaign = new Campaign({
    seed,
    rounds,
    freshEvery: whole(values['fresh-every'], 'fresh-every', 1),
    syncMicros: whole(values['sync-micros'], 'sync-micros', 0),
    senders: whole(values.senders, 'senders', 1),
    paceMs: whole(values['pace-ms'], 'pace-ms', 1),
    lies: values.lie,
    allAtOnce: values.all,
    onProgress: (progress) => showProgress(rounds, progress),
  })
  const result = await campaign.run()
  report(seed, result, values.json)
  process.exitCode = result.failure === undefined ? 0 : 1
}

try {
  await main()
} catch (error) {
  process.stderr.write(`power-loss: ${(error as Error).message}\n`)
  process.exitCode = 2
}
