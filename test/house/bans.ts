/**
 * Calls and forms that the house does not use, each with the reason and what to use in its place.
 */
import { isTest, packageOf, type SourceFile } from './sources.ts'

export interface Ban {
  readonly name: string
  readonly pattern: RegExp
  readonly instead: string
  /** Where it counts; everywhere when absent. */
  readonly where?: (path: string) => boolean
  /** Which view of the file is searched; `code` (no strings, no comments) when absent. */
  readonly view?: 'text' | 'uncommented'
}

/** Files that run per message; one JSON.parse there costs more than everything else together. */
export const HOT_FILES: readonly RegExp[] = [
  /^packages\/ring\/src\//,
  /^packages\/consensus\/src\/core\//,
  /^packages\/network\/src\/(connection|outbox|listener|turn)\.ts$/,
  /^packages\/protocol\/src\/remoting\/(frame|send-header)\.ts$/,
  /^packages\/protocol\/src\/(dledger|message)\//,
  /^packages\/broker\/src\/(send-front|send-answers|send-responder|log-order)\.ts$/,
  /^packages\/broker\/src\/(local-submit|ring-submit|front-link|remote-fronts)\.ts$/,
  /^packages\/broker\/src\/(core-port-frames|submit-frames|open-sends|client-gate)\.ts$/,
  /^packages\/io\/src\/(segment|group-commit|io-agent)\.ts$/,
  /^packages\/engine\/src\/(request-port|request-queue|pending-appends|ledger-frames)\.ts$/,
]

function isHot(path: string): boolean {
  return !isTest(path) && HOT_FILES.some((pattern) => pattern.test(path))
}

/** Packages that are commands: stdout and the process are theirs. */
const COMMAND_PACKAGES: readonly string[] = ['cli', 'ledger-cli']

function isLibrary(path: string): boolean {
  const home = packageOf(path)
  return home !== undefined && !COMMAND_PACKAGES.includes(home) && !isTest(path)
}

export const BANS: readonly Ban[] = [
  {
    name: 'sleep in a test',
    pattern: /\bsetTimeout\(\s*(resolve|done|r|res|ok)\b|timers\/promises|\bsleep\(|\bdelay\(/g,
    view: 'uncommented',
    where: isTest,
    instead:
      'wait for the event itself (a reply, once(), a promise): a sleep is too short or too long',
  },
  {
    name: 'Atomics.wait',
    pattern: /\bAtomics\.wait\(/g,
    where: (path) => packageOf(path) !== 'ring',
    instead: 'Doorbell.wait: it is bounded and looks again after a missed notification',
  },
  {
    name: 'JSON.parse on the hot path',
    pattern: /\bJSON\.(parse|stringify)\(/g,
    where: isHot,
    instead: 'read and write bytes at offsets; text costs an allocation per field and message',
  },
  {
    name: 'console',
    pattern: /\bconsole\.\w+\(/g,
    where: isLibrary,
    instead: 'the log function that the component is given; stdout belongs to commands',
  },
  {
    name: 'process.exit',
    pattern: /\bprocess\.exit\(/g,
    where: isLibrary,
    instead: 'throw or report; only the command knows what else must be closed first',
  },
  {
    name: 'default export',
    pattern: /^export default\b/gm,
    instead: 'a named export, so that one thing has one name everywhere',
  },
  {
    name: 'enum',
    pattern: /^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s+\w/gm,
    instead: 'an `as const` object and its union: Node strips types, it does not compile',
  },
  {
    name: 'namespace',
    pattern: /^\s*(export\s+)?(declare\s+)?namespace\s+\w/gm,
    instead: 'a module: Node strips types, it does not compile',
  },
  {
    name: 'note for later',
    pattern: new RegExp(
      `\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`,
      'g',
    ),
    view: 'text',
    instead: 'do it, or open an issue: a note in the source is read by nobody',
  },
  {
    name: 'silenced type check',
    pattern: /@ts-(ignore|expect-error|nocheck)/g,
    view: 'text',
    instead: 'the true type; a silenced line hides the next mistake as well',
  },
  {
    name: 'focused test',
    pattern: /\b(test|it|describe)\.only\(/g,
    instead: 'all tests: one left in switches the others off',
  },
]

/** Uses of banned things, as `path:line: what, and what instead`. */
export function banProblems(file: SourceFile): string[] {
  const problems: string[] = []
  for (const ban of BANS) {
    if (ban.where !== undefined && !ban.where(file.path)) continue
    const view = ban.view === undefined ? file.code : file[ban.view]
    for (const match of view.matchAll(ban.pattern)) {
      if (ban.view === 'uncommented' && isWord(file, match.index, ban)) continue
      const line = file.text.slice(0, match.index).split('\n').length
      problems.push(`${file.path}:${line}: ${ban.name}; use ${ban.instead}`)
    }
  }
  return problems
}

/** A call that only stands in a string is none; a module's name always does. */
function isWord(file: SourceFile, index: number, ban: Ban): boolean {
  return file.code[index] === ' ' && !/^timers/.test(file.text.slice(index)) && ban.view !== 'text'
}
