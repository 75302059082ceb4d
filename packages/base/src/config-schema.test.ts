import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  booleanSetting,
  choiceSetting,
  formatSettings,
  integerSetting,
  readSettings,
  type SettingsSchema,
  textSetting,
} from './config-schema.ts'

interface Sample {
  port: number
  eager: boolean
  mode: 'SYNC' | 'ASYNC'
  name: string
}

const schema: SettingsSchema<Sample> = {
  port: integerSetting({ doc: 'Port.', defaultValue: 80, min: 1, max: 65535 }),
  eager: booleanSetting({ doc: 'Eager.', defaultValue: true }),
  mode: choiceSetting({ doc: 'Mode.', defaultValue: 'SYNC', choices: ['SYNC', 'ASYNC'] }),
  name: textSetting({
    doc: 'Name.',
    defaultValue: 'x',
    check: (text) => (text.includes(' ') ? 'must not contain a blank' : undefined),
  }),
}
const known = new Set(['haListenPort'])

function read(...pairs: [string, string][]) {
  const entries = pairs.map(([key, value], index) => ({ key, value, line: index + 1 }))
  return readSettings(schema, entries, known)
}

test('defaults, then what is written', () => {
  const result = read(['port', '9876'], ['eager', 'FALSE'])
  assert.deepEqual(result.values, { port: 9876, eager: false, mode: 'SYNC', name: 'x' })
  assert.deepEqual(
    [...result.lines],
    [
      ['port', 1],
      ['eager', 2],
    ],
  )
  assert.deepEqual([result.problems, result.warnings], [[], []])
})

test('a malformed value is a problem with its line, key and rule', () => {
  const result = read(
    ['port', '70000'],
    ['eager', 'yes'],
    ['mode', 'ASINC'],
    ['name', 'a b'],
    ['port', '1x'],
  )
  assert.deepEqual(
    result.problems.map(({ line, message }) => `${line} ${message}`),
    [
      '1 port="70000": must be a whole number from 1 to 65535',
      '2 eager="yes": must be true or false',
      '3 mode="ASINC": must be one of SYNC, ASYNC; did you mean ASYNC?',
      '4 name="a b": must not contain a blank',
      '5 port="1x": must be a whole number from 1 to 65535',
    ],
  )
})

test('an unknown key is refused with the nearest one; a RocketMQ key is only warned about', () => {
  const result = read(['prot', '1'], ['haListenPort', '10912'], ['haLissenPort', '1'], ['zzz', '1'])
  assert.deepEqual(
    result.problems.map(({ message }) => message),
    [
      'unknown setting "prot"; did you mean "port"?',
      'unknown setting "haLissenPort"; did you mean "haListenPort"?',
      'unknown setting "zzz"',
    ],
  )
  assert.equal(result.warnings.length, 1)
  assert.equal(result.warnings[0]?.line, 2)
})

test('a key set twice counts once, with a warning; the command line may override silently', () => {
  const result = readSettings(
    schema,
    [
      { key: 'port', value: '1', line: 1 },
      { key: 'port', value: '2', line: 2 },
      { key: 'port', value: '3', line: 0 },
    ],
    known,
  )
  assert.equal(result.values.port, 3)
  assert.deepEqual(result.warnings, [
    { line: 2, message: '"port" is set again (first on line 1); the last value counts' },
  ])
})

test('formatted settings read back as the same values', () => {
  const { values } = read(['port', '5'], ['mode', 'ASYNC'], ['name', 'y'])
  const entries = [...formatSettings(schema, values)].map(([key, value]) => ({
    key,
    value,
    line: 1,
  }))
  assert.deepEqual(readSettings(schema, entries, known).values, values)
})
