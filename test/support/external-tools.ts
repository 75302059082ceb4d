/**
 * Tests that use real Java and Go clients need a JDK with Maven, or Go. Where one is missing the
 * test is skipped with a line that says so; under CI=true that is a failure, so that nobody ships
 * untested.
 */
import { spawnSync } from 'node:child_process'

export type ExternalTool = 'java' | 'mvn' | 'go' | 'ip' | 'gcc' | 'prlimit' | 'mount'

const HOW: Readonly<Record<ExternalTool, { args: string[]; install: string }>> = {
  java: { args: ['-version'], install: 'a JDK (11 or newer)' },
  mvn: { args: ['-version'], install: 'Maven' },
  go: { args: ['version'], install: 'Go' },
  ip: { args: ['-V'], install: 'iproute2' },
  prlimit: { args: ['--version'], install: 'util-linux' },
  mount: { args: ['--version'], install: 'util-linux' },
  gcc: { args: ['--version'], install: 'gcc and the headers of libc' },
}

/**
 * For the `skip` option of a test: false when every tool runs, else the reason.
 * @throws Error under CI=true when one is missing.
 */
export function missingTools(...tools: readonly ExternalTool[]): string | false {
  const missing = tools.filter((tool) => !runs(tool))
  if (missing.length === 0) return false
  const what = missing.map((tool) => `${tool} (install ${HOW[tool].install})`).join(' and ')
  if (process.env.CI === 'true') throw new Error(`CI needs ${what}`)
  return `no ${what}`
}

const known = new Map<ExternalTool, boolean>()

function runs(tool: ExternalTool): boolean {
  let answer = known.get(tool)
  if (answer === undefined) {
    const { error, status } = spawnSync(tool, HOW[tool].args, { stdio: 'ignore' })
    answer = error === undefined && status === 0
    known.set(tool, answer)
  }
  return answer
}
