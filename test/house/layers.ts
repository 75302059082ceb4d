/** Who may import whom (ARCHITECTURE.md), as a table and the checks over it. */
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { type Import, importsOf } from './imports.ts'
import { isTest, packageOf, ROOT, type SourceFile } from './sources.ts'

/** Package directory to the package directories that it may import. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  ring: ['base'],
  protocol: ['base'],
  consensus: ['base', 'ring', 'protocol'],
  io: ['base', 'ring', 'protocol'],
  network: ['base', 'ring', 'protocol'],
  engine: ['base', 'ring', 'protocol', 'consensus', 'io', 'network'],
  broker: ['base', 'ring', 'protocol', 'consensus', 'io', 'network', 'engine', 'upgrade'],
  'name-server': ['base', 'protocol', 'network'],
  'ledger-cli': ['base', 'protocol', 'network', 'io', 'engine'],
  upgrade: ['base', 'protocol'],
  cli: ['base', 'ring', 'protocol', 'network', 'engine', 'broker', 'name-server', 'upgrade'],
}
/**
 * Only files that start a thread bring these together, so that each can be tested and simulated
 * alone.
 */
const AGENT_PACKAGES: readonly string[] = ['consensus', 'io', 'network']
const PURE = 'packages/consensus/src/core/'

const directoryOfName = new Map<string, string>()
const declared = new Map<string, ReadonlySet<string>>()
/** Packages on npm, where an `/internal` door is not. */
const published = new Set<string>()
for (const directory of Object.keys(MAY_IMPORT)) {
  const manifest = JSON.parse(readFileSync(`${ROOT}/packages/${directory}/package.json`, 'utf8'))
  directoryOfName.set(manifest.name, directory)
  const names = { ...manifest.dependencies, ...manifest.peerDependencies }
  declared.set(directory, new Set(Object.keys(names)))
  if (manifest.publishConfig !== undefined) published.add(directory)
}

/** Every import of `file` that breaks a rule, as `path:line: what, and what to do instead`. */
export function layerProblems(file: SourceFile): string[] {
  const imports = importsOf(file)
  const problems: string[] = []
  for (const one of imports) {
    const problem = checkImport(file, one)
    if (problem !== undefined) problems.push(`${file.path}:${one.line}: ${problem}`)
  }
  const combined = combinedAgents(file, imports)
  if (combined.length > 1 && !mayCombine(file.path)) {
    const what = `brings ${combined.join(' and ')} together`
    problems.push(
      `${file.path}:1: ${what}; only a *.worker.ts file and the engine may (types are free)`,
    )
  }
  return problems
}

function checkImport(file: SourceFile, one: Import): string | undefined {
  const home = packageOf(file.path)
  if (one.specifier.startsWith('.')) return checkRelative(file.path, home, one.specifier)
  if (home === undefined) return undefined
  if (one.specifier.startsWith('node:')) {
    if (!file.path.startsWith(PURE) || isTest(file.path)) return undefined
    return `${one.specifier}: consensus/core has no clock, disk or socket; take an effect or an argument`
  }
  return checkPackage(file.path, home, one.specifier)
}

function checkRelative(
  path: string,
  home: string | undefined,
  specifier: string,
): string | undefined {
  if (!/\.(ts|mjs|json)$/.test(specifier)) {
    return `"${specifier}": write the file ending; Node runs the sources as they are`
  }
  const target = posix.join(posix.dirname(path), specifier)
  if (packageOf(target) === home || isTest(path) || home === undefined) return undefined
  return `"${specifier}" leaves the package; import it by its package name`
}

function checkPackage(path: string, home: string, specifier: string): string | undefined {
  const parts = specifier.split('/')
  const name = parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
  const target = directoryOfName.get(name)
  const testing = isTest(path)
  if (target === undefined) {
    if (testing && name === 'fast-check') return undefined
    if (path.startsWith(PURE)) return `${name}: consensus/core imports base only`
    if (declared.get(home)?.has(name)) return undefined
    return `${specifier} is not in packages/${home}/package.json (builtins start with node:)`
  }
  if (target === home) return `${specifier}: inside a package import the file itself`
  if (path.startsWith(PURE) && target !== 'base') return `${name}: consensus/core imports base only`
  if (!MAY_IMPORT[home]?.includes(target)) {
    return `${home} must not import ${target}; it may import ${MAY_IMPORT[home]?.join(', ') || 'none'}`
  }
  if (!declared.get(home)?.has(name)) return `${name} is not in packages/${home}/package.json`
  const door = specifier.slice(name.length)
  if (door !== '' && door !== '/internal')
    return `"${specifier}": import the package's door, ${name}`
  if (door !== '' && published.has(home) && !testing)
    return `${specifier}: ${home} is published, that door is not`
  return undefined
}

function combinedAgents(file: SourceFile, imports: readonly Import[]): string[] {
  const running = imports.filter((one) => !one.typeOnly)
  const targets = running.map((one) =>
    directoryOfName.get(one.specifier.replace(/\/internal$/, '')),
  )
  const home = packageOf(file.path)
  return AGENT_PACKAGES.filter((agent) => targets.includes(agent) || agent === home)
}

function mayCombine(path: string): boolean {
  return isTest(path) || path.endsWith('.worker.ts') || !/^packages\/(?!engine\/)/.test(path)
}
