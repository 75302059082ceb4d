/**
 * A short trial of what `run.ts` does for as long as one likes. The seed is printed;
 * RINGLEDGER_LINEAR_SEED repeats what it decides.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { noNamespaces } from '../deploy/namespaces.ts'
import { missingTools } from '../support/external-tools.ts'
import { runTrial } from './trial.ts'

const SEED = Number(process.env.RINGLEDGER_LINEAR_SEED ?? randomInt(2 ** 31))
const FAULTS_MS = 25_000
const skip = missingTools('go') || noNamespaces()

test('histories under kill -9, SIGSTOP and partitions are linearizable', {
  skip,
  timeout: 240_000,
}, async (context) => {
  context.diagnostic(`RINGLEDGER_LINEAR_SEED=${SEED}`)
  const targets = ['engine', 'broker'] as const
  const result = await runTrial({ durationMs: FAULTS_MS, seed: SEED, targets })
  context.diagnostic(JSON.stringify(result))
  assert.deepEqual(result.troubles, [])
  for (const { target, operations, changes, findings } of result.targets) {
    assert.deepEqual(
      findings.filter(({ verdict }) => verdict !== 'done'),
      [],
      `${target}: ${result.directory}`,
    )
    assert.ok(operations.ok > 0 && changes > 0, `${target} did nothing`)
  }
  assert.ok(result.ok)
})
