/**
 * Golden traces: each file of `testdata` is a script whose whole message trace is written below
 * each block. UPDATE_TRACES=1 rewrites them; the difference is then reviewed like code.
 *
 * Format: lines starting with # are prose; a block is commands, a line `----`, the trace, and an
 * empty line.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { Interaction } from './interaction-fake.ts'

const DIRECTORY = new URL('../../testdata/', import.meta.url)

/** Runs a script; returns it with the traces it really gives. */
function replay(text: string): string {
  const interaction = new Interaction()
  const output: string[] = []
  let commands: string[] = []
  let skipping = false
  for (const line of text.trimEnd().split('\n')) {
    if (skipping) {
      skipping = line !== ''
      if (!skipping) output.push('')
      continue
    }
    output.push(line)
    if (line === '----') {
      output.push(...interaction.run(commands))
      commands = []
      skipping = true
    } else if (line !== '' && !line.startsWith('#')) commands.push(line)
  }
  assert.deepEqual(commands, [], 'commands without a ---- line')
  return `${output.join('\n').trimEnd()}\n`
}

for (const name of readdirSync(DIRECTORY).filter((file) => file.endsWith('.txt'))) {
  test(`trace: ${name.slice(0, -4).replaceAll('-', ' ')}`, () => {
    const file = new URL(name, DIRECTORY)
    const expected = readFileSync(file, 'utf8')
    const actual = replay(expected)
    if (process.env.UPDATE_TRACES === '1') {
      writeFileSync(file, actual)
      return
    }
    assert.equal(actual, expected)
  })
}
