/** That the trial finds what it is there to find: deliberate bugs in the shipped code. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import { noNamespaces } from '../deploy/namespaces.ts'
import { missingTools } from '../support/external-tools.ts'
import type { Target } from './members.ts'
import { runTrial } from './trial.ts'

const skip = missingTools('go') || noNamespaces()
const LIMIT_MS = 60_000

interface Expected {
  readonly mutation: string
  readonly target: Target
  /** The faults that show it soonest. */
  readonly only: string
}

const EXPECTED: readonly Expected[] = [
  { mutation: 'read-without-round', target: 'engine', only: 'goes on cut off' },
  { mutation: 'commit-by-one', target: 'engine', only: 'the leader cut off' },
  { mutation: 'commit-by-one', target: 'broker', only: 'the leader cut off' },
  { mutation: 'answer-before-commit', target: 'engine', only: 'the leader cut off' },
]

for (const { mutation, target, only } of EXPECTED) {
  test(`a deliberate bug is found: ${mutation}, ${target}`, {
    skip,
    timeout: 180_000,
  }, async () => {
    const result = await runTrial({
      durationMs: LIMIT_MS,
      seed: 1,
      targets: [target],
      mutation,
      only,
    })
    if (result.directory !== undefined) rmSync(result.directory, { recursive: true, force: true })
    const broken = result.targets.flatMap(({ findings }) => findings)
    const violated = broken.some(({ verdict }) => verdict === 'violation')
    // A member may see for itself that the others lost what it has.
    const halted = result.troubles.some((text) => /contradicts what is committed/.test(text))
    assert.ok(violated || halted, JSON.stringify(result))
  })
}
