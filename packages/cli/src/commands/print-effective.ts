/** What `-p` prints: `key=value` lines, sorted, that read back as a configuration file. */
import { formatProperties } from '../config/properties-file.ts'

/** Where our default is not RocketMQ's, so that nobody is surprised. */
const DIFFERENT_DEFAULTS: Readonly<Record<string, string>> = {
  flushDiskType: 'SYNC_FLUSH is the default here, ASYNC_FLUSH in RocketMQ',
  enableDLegerCommitLog: 'true is the default here, false in RocketMQ',
}

/** Values to stdout, remarks to stderr; returns the exit code. */
export function printEffective(
  effective: ReadonlyMap<string, string>,
  warnings: readonly string[],
): number {
  for (const line of warnings) process.stderr.write(`warning: ${line}\n`)
  process.stdout.write(formatEffective(effective))
  return 0
}

export function formatEffective(effective: ReadonlyMap<string, string>): string {
  let text = ''
  for (const [key, value] of effective) {
    const remark = DIFFERENT_DEFAULTS[key]
    if (remark !== undefined) text += `# ${remark}\n`
    text += formatProperties([[key, value]])
  }
  return text
}
