/**
 * Reporter of node:test for a whole run: one line a file, every failure in full, every skipped test
 * with its reason. Leaves the counts in the file that RINGLEDGER_TEST_COUNTS names.
 */
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { inspect } from 'node:util'

function describeError(error) {
  const cause = error?.cause ?? error
  const text = cause?.stack ?? inspect(cause)
  return String(text).replace(/^/gm, '      ')
}

export async function* report(source) {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const files = new Map()
  for await (const { type, data } of source) {
    if (type === 'test:pass' || type === 'test:fail') {
      // In process isolation a file is a test of its own; it counts only when it fails by itself.
      const isFile = data.details?.type !== 'suite' && data.file === data.name
      const isSuite = data.details?.type === 'suite'
      const path = data.file ? relative(process.cwd(), data.file) : '?'
      const file = files.get(path) ?? { passed: 0, failed: 0 }
      files.set(path, file)
      if (type === 'test:fail') {
        const inner = data.details?.error?.failureType === 'subtestsFailed'
        if (inner) continue
        counts.failed++
        file.failed++
        yield `  FAILED ${path}:${data.line ?? ''} ${data.name}\n${describeError(data.details?.error)}\n`
      } else if (data.skip !== undefined || data.todo !== undefined) {
        counts.skipped++
        const reason = data.skip || data.todo
        yield `  skipped ${path}: ${data.name}${typeof reason === 'string' ? `: ${reason}` : ''}\n`
      } else if (!isFile && !isSuite) {
        counts.passed++
        file.passed++
      }
    } else if (type === 'test:stderr' || type === 'test:stdout') {
      yield data.message
    }
  }
  for (const [path, { passed, failed }] of [...files].sort()) {
    yield `  ${failed > 0 ? 'FAILED' : 'ok'} ${path}: ${passed} passed${failed ? `, ${failed} failed` : ''}\n`
  }
  const target = process.env.RINGLEDGER_TEST_COUNTS
  if (target) writeFileSync(target, JSON.stringify(counts))
}

// biome-ignore lint/style/noDefaultExport: node:test looks for the reporter under this name
export { report as default }
