/**
 * `npm test`: every check and test there is, with the pinned Node, however many fail. The last line
 * is `N passed, N failed, N skipped`. Each stage has a time limit, so that the whole is bounded.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NODE } from './bootstrap.mjs'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const BIN = join(ROOT, 'node_modules', '.bin')
const SCRATCH = mkdtempSync(join(tmpdir(), 'ringledger-tests-'))
const MINUTE = 60_000
const KILL_GRACE_MS = 10_000
const REPORTER = join(ROOT, 'scripts', 'test-reporter.mjs')
const total = { passed: 0, failed: 0, skipped: 0 }
/** Asked to stop: what has not begun does not begin. */
let interrupted = false

/** Runs one program in a process group of its own; ends the whole group at the limit. */
function run(command, args, limitMs, extraEnv = {}) {
  const env = { ...process.env, PATH: `${BIN}${delimiter}${process.env.PATH}`, ...extraEnv }
  const child = spawn(command, args, { cwd: ROOT, env, stdio: 'inherit', detached: true })
  const signal = (name) => {
    try {
      process.kill(-child.pid, name)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
  const forward = () => {
    interrupted = true
    signal('SIGTERM')
  }
  process.on('SIGINT', forward)
  process.on('SIGTERM', forward)
  let late = false
  const limit = setTimeout(() => {
    late = true
    process.stdout.write(`  not done after ${limitMs / MINUTE} minutes: stopped\n`)
    signal('SIGTERM')
    setTimeout(() => signal('SIGKILL'), KILL_GRACE_MS).unref()
  }, limitMs)
  return new Promise((resolve) => {
    const done = (ok) => {
      clearTimeout(limit)
      process.off('SIGINT', forward)
      process.off('SIGTERM', forward)
      resolve(ok && !late)
    }
    child.on('error', (error) => {
      process.stdout.write(`  ${command}: ${error.message}\n`)
      done(false)
    })
    child.on('close', (code) => done(code === 0))
  })
}

function title(name) {
  process.stdout.write(`\n== ${name}\n`)
}

/** A program whose exit code is the result: counts as one test. */
async function check(name, command, args, limitMinutes = 5) {
  if (interrupted) return
  title(name)
  const ok = await run(command, args, limitMinutes * MINUTE)
  total[ok ? 'passed' : 'failed']++
  process.stdout.write(ok ? '  ok\n' : `  FAILED ${name}\n`)
}

/**
 * Test files; `wholeProcess` ones run one after the other, since they share the machine's cores.
 */
async function tests(name, files, { limitMs, testLimitMs, concurrency }) {
  if (interrupted) return
  title(`${name} (${files.length} files)`)
  const countsPath = join(SCRATCH, `${name.replaceAll(' ', '-')}.json`)
  const args = [
    '--test',
    `--test-concurrency=${concurrency}`,
    `--test-timeout=${testLimitMs}`,
    `--test-reporter=${REPORTER}`,
    '--test-reporter-destination=stdout',
    ...files,
  ]
  const ok = await run(NODE, args, limitMs, { RINGLEDGER_TEST_COUNTS: countsPath })
  let counts = { passed: 0, failed: 0, skipped: 0 }
  try {
    counts = JSON.parse(readFileSync(countsPath, 'utf8'))
  } catch {
    process.stdout.write('  the test run ended without a result\n')
  }
  if (!ok && counts.failed === 0) counts.failed = 1
  for (const key of Object.keys(total)) total[key] += counts[key]
}

function testFiles(directory, accept = () => true) {
  const found = []
  for (const entry of readdirSync(join(ROOT, directory), { withFileTypes: true })) {
    const path = `${directory}/${entry.name}`
    if (entry.name === 'node_modules') continue
    if (entry.isDirectory()) found.push(...testFiles(path, accept))
    else if (entry.name.endsWith('.test.ts') && accept(path)) found.push(path)
  }
  return found.sort()
}

async function main() {
  const isHouse = (path) => path.startsWith('test/house/')
  const unitLimits = { limitMs: 8 * MINUTE, testLimitMs: 2 * MINUTE, concurrency: 2 }
  await check('format and lint', join(BIN, 'biome'), ['check', '.'])
  await check('types', join(BIN, 'tsc'), ['-p', 'tsconfig.json', '--noEmit'])
  await tests('house', testFiles('test', isHouse), unitLimits)
  await tests('unit', [...testFiles('packages'), ...testFiles('bench')], unitLimits)
  await check('simulation', NODE, ['test/sim/run.ts', '--seeds', '2000', '--jobs', '2'], 10)
  await check(
    'simulation finds bugs',
    NODE,
    ['test/sim/run.ts', '--mutate', 'all', '--jobs', '2'],
    8,
  )
  const whole = testFiles('test', (path) => !isHouse(path))
  if (whole.length > 0) {
    const limits = { limitMs: 24 * MINUTE, testLimitMs: 10 * MINUTE, concurrency: 1 }
    await tests('whole process', whole, limits)
  }
}

try {
  await main()
} finally {
  rmSync(SCRATCH, { recursive: true, force: true })
}
if (total.passed === 0 || interrupted) total.failed++
process.exitCode = total.failed > 0 ? 1 : 0
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`)
