import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { missingTools } from '../support/external-tools.ts'
import { ROOT } from '../support/run-command.ts'
import { checkerProgram, type Finding } from './checker.ts'

const skip = missingTools('go')

type Fields = Readonly<Record<string, unknown>>

interface Verdict {
  readonly exitCode: number | null
  readonly findings: readonly Finding[]
  readonly stderr: string
}

function check(lines: readonly Fields[], visualizations = ''): Verdict {
  const { status, stdout, stderr } = spawnSync(
    checkerProgram(),
    ['-visualizations', visualizations],
    {
      input: lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
      encoding: 'utf8',
    },
  )
  const findings = stdout.trim().split('\n').filter(Boolean)
  return { exitCode: status, findings: findings.map((line) => JSON.parse(line)), stderr }
}

/** Rules that a history breaks, each once. */
function broken(...lines: readonly Fields[]): string[] {
  const { exitCode, findings, stderr } = check(lines)
  assert.ok(exitCode === 0 || exitCode === 1, stderr)
  const rules = findings.filter(({ verdict }) => verdict === 'violation').map(({ rule }) => rule)
  assert.equal(exitCode === 1, rules.length > 0)
  return [...new Set(rules as string[])].sort()
}

function line(object: string) {
  return (call: number, end: number, op: string, fields: Fields = {}): Fields => ({
    kind: 'op',
    object,
    client: call,
    node: 'n0',
    call,
    return: end,
    op,
    outcome: 'ok',
    ...fields,
  })
}

const register = line('register/1')
const log = line('log/1')
const ledger = line('ledger')
const queue = line('queue/0')
const unknown = { outcome: 'unknown' }

test('a checker of histories: registers', { skip }, () => {
  const first = register(1, 2, 'write', { value: 1, index: 1 })
  const second = register(3, 4, 'write', { value: 2, index: 2 })
  const read = (call: number, end: number, result: number): Fields =>
    register(call, end, 'read', { result })
  assert.deepEqual(broken(read(0, 1, 0), first, second, read(5, 6, 2)), [])
  assert.deepEqual(broken(first, second, read(5, 6, 1)), ['linearizable'], 'a stale read')
  assert.deepEqual(broken(first, read(3, 4, 0)), ['linearizable'], 'a lost write')
  assert.deepEqual(broken(first, read(3, 4, 9)), ['linearizable'], 'a value of nobody')

  const cas = (call: number, value: number, result: number, applied: boolean): Fields =>
    register(call, call + 1, 'cas', { expected: 1, value, result, applied, index: call })
  assert.deepEqual(broken(first, cas(3, 2, 1, true), cas(5, 3, 2, false)), [])
  assert.deepEqual(broken(first, cas(3, 2, 1, true), cas(5, 3, 1, true)), ['linearizable'])

  const open = register(1, 3, 'write', { value: 1, ...unknown })
  assert.deepEqual(broken(open, read(4, 5, 0), read(6, 7, 1)), [], 'it takes effect late')
  assert.deepEqual(broken(open, read(4, 5, 1), read(6, 7, 0)), ['linearizable'], 'and once')
  const failed = register(1, 3, 'write', { value: 1, outcome: 'failed' })
  assert.deepEqual(broken(failed, read(4, 5, 0)), [])
  assert.deepEqual(broken(failed, read(4, 5, 1)), ['linearizable'], 'a failed one has no effect')
})

test('a checker of histories: logs', { skip }, () => {
  const append = (call: number, value: number, position: number): Fields =>
    log(call, call + 1, 'append', { value, position, index: call })
  const both = [append(1, 1, 0), append(3, 2, 1)]
  const all = (call: number, ...values: number[]): Fields => log(call, call + 1, 'all', { values })
  const read = (call: number, position: number, result: number): Fields =>
    log(call, call + 1, 'read', { position, result })
  const last = (call: number, length: number, result: number): Fields =>
    log(call, call + 1, 'last', { length, result })
  assert.deepEqual(broken(...both, all(5, 1, 2), read(7, 0, 1), last(9, 2, 2), read(11, 2, 0)), [])
  assert.deepEqual(broken(...both, all(5, 1)), ['linearizable'], 'a lost append')
  assert.deepEqual(broken(...both, all(5, 2, 1)), ['linearizable'], 'reordered')
  assert.deepEqual(broken(...both, read(5, 0, 7)), ['linearizable'], 'changed')
  assert.deepEqual(broken(...both, last(5, 1, 1)), ['linearizable'], 'a stale end')
  assert.deepEqual(broken(append(1, 1, 1), append(3, 2, 0)), ['linearizable'], 'against time')
  assert.deepEqual(broken(append(1, 1, 0), append(3, 2, 0)), ['linearizable'], 'one place twice')
  const open = log(1, 2, 'append', { value: 9, ...unknown })
  assert.deepEqual(broken(open, append(3, 1, 1), all(5, 9, 1)), [])
  assert.deepEqual(broken(open, append(3, 1, 1)), [], 'nobody saw it, and it must be there')
  assert.deepEqual(broken(append(1, 1, 1)), ['linearizable'], 'nobody can have filled the gap')
})

test('a checker of histories: the log of a group', { skip }, () => {
  const write = (call: number, value: number, index: number, fields: Fields = {}): Fields =>
    register(call, call + 1, 'write', { value, index, term: 1, ...fields })
  const get = (call: number, position: number, values: number[], fields: Fields = {}): Fields =>
    ledger(call, call + 1, 'get', { position, values, ...fields })
  const one = write(1, 1, 5)
  assert.deepEqual(broken(one, get(3, 5, [1]), get(5, 6, []), write(7, 2, 7)), [])
  assert.deepEqual(broken(one, get(3, 5, [7])), ['place'], 'another value')
  assert.deepEqual(broken(one, get(3, 6, [1])), ['place'], 'another place')
  assert.deepEqual(broken(one, write(3, 2, 4)), ['order'])
  assert.deepEqual(broken(one, write(3, 2, 6), write(5, 3, 7, { term: 2 })), [])
  assert.deepEqual(broken(write(1, 1, 5, { term: 3 }), write(3, 2, 6, { term: 2 })), ['order'])
  assert.deepEqual(broken(get(1, 5, [1]), write(3, 1, 5)), ['order', 'phantom'])
  assert.deepEqual(broken(one, get(3, 5, [], { linear: true })), ['behind'])
  assert.deepEqual(broken(one, get(3, 5, [])), [], 'a node may be behind')
  assert.deepEqual(broken(one, get(3, 5, [1]), get(5, 5, [])), ['back'])
  const restart = { kind: 'start', node: 'n0', call: 5 }
  assert.deepEqual(broken(one, get(3, 5, [1]), restart, get(6, 5, [])), [], 'it begins anew')
  const failed = register(1, 2, 'write', { value: 1, outcome: 'failed' })
  assert.deepEqual(broken(failed, get(3, 5, [1])), ['failed', 'phantom'])
})

test('a checker of histories: queues of a broker', { skip }, () => {
  const send = (call: number, value: number, position: number, fields: Fields = {}): Fields =>
    queue(call, call + 1, 'send', { value, position, ...fields })
  const pull = (call: number, position: number, values: number[], fields: Fields = {}): Fields =>
    queue(call, call + 1, 'pull', { position, values, ...fields })
  const n1 = { node: 'n1' }
  const next = send(3, 2, 1, n1)
  assert.deepEqual(broken(send(1, 1, 0), pull(3, 0, []), pull(5, 0, [1])), [], 'it may lag')
  assert.deepEqual(broken(send(1, 1, 0), next, pull(5, 0, [], n1)), ['leader'])
  assert.deepEqual(broken(send(1, 1, 0), next, pull(5, 1, [], n1)), [], 'its own may lag')
  assert.deepEqual(broken(send(1, 1, 0), next, pull(5, 0, [1, 2]), pull(7, 1, [])), ['back'])
  assert.deepEqual(broken(send(1, 1, 0), send(3, 2, 0)), ['order', 'place'])
  assert.deepEqual(broken(send(1, 1, 0), next, pull(5, 0, [1, 0])), ['place'], 'a gap')
  assert.deepEqual(broken(pull(1, 0, [4])), ['phantom'])
  const open = send(1, 1, 0, { ...unknown, position: 0 })
  assert.deepEqual(broken(open, send(3, 2, 0), pull(5, 0, [2, 1])), [], 'stored late')
  const sweep = { kind: 'sweep', object: 'queue/0' }
  const complete = { kind: 'complete', object: 'queue/0' }
  const sent = [send(1, 1, 0), next, pull(5, 0, [1, 2])]
  assert.deepEqual(broken(...sent, sweep, pull(7, 0, [1, 2]), complete), [])
  assert.deepEqual(broken(...sent, sweep, pull(7, 0, [1]), complete), ['lost'])
})

test('a checker of histories: what is no history is not judged', { skip }, () => {
  const first = register(1, 2, 'write', { value: 1, index: 1 })
  const bad: readonly (readonly [Fields, RegExp])[] = [
    [{ ...first, kind: 'other' }, /no kind/],
    [{ ...first, object: 'other/1', value: 2 }, /no model/],
    [{ ...first, outcome: 'perhaps' }, /not an operation/],
    [{ ...first, call: 3 }, /not an operation/],
    [{ ...first, value: 0 }, /not unique/],
    [{ ...first, call: 3, return: 4 }, /not unique/],
    [{ ...first, call: 0, return: 1, value: 2 }, /order of returns/],
  ]
  for (const [wrong, words] of bad) {
    const { exitCode, stderr } = check([first, wrong])
    assert.equal(exitCode, 2)
    assert.match(stderr, words)
    assert.match(stderr, /^line 2: /)
  }
})

test('a checker of histories: a violation can be looked at', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'pictures-'))
  try {
    const stale = register(3, 4, 'read', { result: 0 })
    const close = { kind: 'close', object: 'register/1' }
    const later = log(5, 6, 'append', { value: 2, position: 0, index: 2 })
    const written = register(1, 2, 'write', { value: 1, index: 1 })
    const { findings } = check([written, stale, close, later], directory)
    const [violation] = findings
    assert.equal(violation?.object, 'register/1')
    const path = violation.visualization ?? ''
    assert.ok(existsSync(path))
    assert.match(readFileSync(path, 'utf8'), /read 0/)
    assert.deepEqual(findings.at(-1), {
      verdict: 'done',
      operations: 3,
      objects: 2,
      violations: 1,
      ...(findings.at(-1)?.longestMs === undefined
        ? {}
        : { longestMs: findings.at(-1)?.longestMs }),
    })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test('a checker of histories: what it leaves out changes no verdict', { skip }, () => {
  const { status, stdout, stderr } = spawnSync('go', ['test', './...'], {
    cwd: join(ROOT, 'test/linear/checker'),
    encoding: 'utf8',
  })
  assert.equal(status, 0, `${stdout}${stderr}`)
})
