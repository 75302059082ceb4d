/** The shipped `mqadmin`, as operators run it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { ROOT, runCommand } from '../support/run-command.ts'

const PROGRAM = join(ROOT, 'packages/cli/bin/mqadmin.mjs')

/** What it printed. @throws AssertionError when it ends with another code than one of these */
export async function mqadmin(
  args: readonly string[],
  codes: readonly number[] = [0],
): Promise<string> {
  const { code, stdout, stderr } = await runCommand(process.execPath, [PROGRAM, ...args])
  assert.ok(codes.includes(code ?? -1), `mqadmin ${args.join(' ')}: ${code}\n${stdout}${stderr}`)
  return stdout
}
