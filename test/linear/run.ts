/**
 * `node test/linear/run.ts`: a trial of linearizability from the command line. Ends with 0 when
 * nothing was found, with 1 otherwise.
 */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { noNamespaces } from '../deploy/namespaces.ts'
import { missingTools } from '../support/external-tools.ts'
import type { Target } from './members.ts'
import { MUTATIONS } from './mutations.ts'
import { runTrial, type TrialResult } from './trial.ts'

const HELP = `node test/linear/run.ts [options]

Runs groups of three on servers of their own (network namespaces; needs root, Go), lets clients
read and write, kills and stops processes, cuts the network between the members, and checks all the
while that the histories are linearizable. Stops at the first violation and says where its history
and its picture are.

  --minutes M     how long faults go on (default 1)
  --seed S        decides order, kinds and lengths of faults and what clients do (default: any)
  --target T      engine: registers and logs on openLedger(); broker: queues of mqbroker;
                  both (default)
  --only WORDS    only faults whose description has these words ("kill -9 of all")
  --clients N     for each target (default 12)
  --mutation NAME a deliberate bug, which must be found: ${Object.keys(MUTATIONS).join(', ')}
  --keep          keep the histories although nothing was found
  --json          one line of JSON at the end in place of words
  --help
`

const SHOWN_FINDINGS = 8
const TARGETS: Readonly<Record<string, readonly Target[]>> = {
  engine: ['engine'],
  broker: ['broker'],
  both: ['engine', 'broker'],
}

function words(result: TrialResult): string {
  const { kill, stop, partition } = result.faults
  const faults = `kill -9 ${kill}, SIGSTOP ${stop}, partitions ${partition}`
  const lines = result.targets.map(({ target, operations, checked, findings, longestGapMs }) => {
    const { ok, failed, unknown } = operations
    const found = findings.filter(({ verdict }) => verdict !== 'done').length
    return `${target}: ${ok} ok, ${failed} failed, ${unknown} unknown; ${checked} objects checked, ${found} findings; longest gap ${longestGapMs} ms`
  })
  return `${Math.round(result.elapsedMs / 1000)} s | ${faults} | ${lines.join(' | ')}`
}

function report(result: TrialResult): string {
  const lines = [words(result), `seed ${result.seed}`]
  for (const [name, count] of Object.entries(result.faultsByName))
    lines.push(`  ${count} × ${name}`)
  for (const { target, findings } of result.targets) {
    for (const finding of findings.slice(0, SHOWN_FINDINGS)) {
      lines.push(`${target}: ${JSON.stringify(finding)}`)
    }
    const more = findings.length - SHOWN_FINDINGS
    if (more > 0) lines.push(`${target}: and ${more} more`)
  }
  for (const trouble of result.troubles) lines.push(`trouble: ${trouble}`)
  if (result.directory !== undefined) lines.push(`histories and logs: ${result.directory}`)
  lines.push(result.ok ? 'nothing found' : 'NOT LINEARIZABLE, or not checked: see above')
  return lines.join('\n')
}

const OPTIONS = {
  minutes: { type: 'string', default: '1' },
  seed: { type: 'string' },
  target: { type: 'string', default: 'both' },
  clients: { type: 'string', default: '12' },
  mutation: { type: 'string' },
  only: { type: 'string' },
  keep: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** Why this cannot be run; undefined when it can. */
function problemOf(
  targets: unknown,
  numbers: readonly number[],
  mutation?: string,
): string | undefined {
  if (targets === undefined) return 'the target is engine, broker or both'
  if (numbers.some((number) => !(number >= 0))) return 'minutes, seed and clients are numbers'
  if (mutation !== undefined && MUTATIONS[mutation] === undefined) return `no mutation ${mutation}`
  const missing = noNamespaces() || missingTools('go')
  return missing === false ? undefined : missing
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: OPTIONS })
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const targets = TARGETS[values.target]
  const numbers = [values.minutes, values.seed ?? randomInt(2 ** 31), values.clients].map(Number)
  const problem = problemOf(targets, numbers, values.mutation)
  if (targets === undefined || problem !== undefined) {
    process.stderr.write(`${problem}\n\n${HELP}`)
    return 2
  }
  const [minutes = 1, seed = 1, clients = 12] = numbers
  const result = await runTrial({
    durationMs: minutes * 60_000,
    seed,
    targets,
    clients,
    keep: values.keep,
    ...(values.only === undefined ? {} : { only: values.only }),
    ...(values.mutation === undefined ? {} : { mutation: values.mutation }),
    onProgress: (progress) => process.stderr.write(`${words(progress)}\n`),
  })
  process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : `${report(result)}\n`)
  return result.ok ? 0 : 1
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  return 2
})
