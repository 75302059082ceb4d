/** `mqadmin` on the streams of this process. */
import { mqadminMain as run } from '../mqadmin/main.ts'

/** Resolves with the exit code. */
export async function mqadminMain(argv: readonly string[]): Promise<number> {
  return await run(argv, { stdout: process.stdout, stderr: process.stderr })
}
