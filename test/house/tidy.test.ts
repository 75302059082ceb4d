import assert from 'node:assert/strict'
import { posix } from 'node:path'
import { test } from 'node:test'
import { banProblems } from './bans.ts'
import { blankWords } from './blank-words.ts'
import { importsOf } from './imports.ts'
import { longFunctions, shapeProblems } from './shape.ts'
import { isTest, type SourceFile, sourceFiles } from './sources.ts'

const files = sourceFiles()

function sample(path: string, text: string): SourceFile {
  return { path, text, ...blankWords(text) }
}

test('nothing that the house does not use', () => {
  assert.deepEqual(files.flatMap(banProblems), [])
})

test('lines, functions and files are short enough to be read', () => {
  assert.deepEqual(files.flatMap(shapeProblems), [])
})

test('file names are in kebab case', () => {
  const bad = files.filter(({ path }) => !/^[a-z0-9]+([.-][a-z0-9]+)*$/.test(posix.basename(path)))
  assert.deepEqual(
    bad.map(({ path }) => path),
    [],
  )
})

test('every source file of a package is used', () => {
  const used = new Set(files.flatMap(usesOf))
  const entry = /\/(index|internal)\.ts$|\.worker\.ts$/
  const dead = files
    .map(({ path }) => path)
    .filter((path) => /^packages\/[^/]+\/src\//.test(path))
    .filter((path) => !isTest(path) && !entry.test(path) && !used.has(path))
  assert.deepEqual(dead, [], 'import them or delete them')
})

/**
 * Files that this one needs. A unit test alone keeps nothing alive, unless it is a helper of tests.
 */
function usesOf(file: SourceFile): string[] {
  const home = posix.dirname(file.path)
  const tested = /(sample|fake)[^/]*\.test\.ts$/.test(file.path)
    ? ''
    : file.path.replace(/\.test\.ts$/, '.ts')
  const imported = importsOf(file)
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier }) => posix.join(home, specifier))
    .filter((path) => path !== tested)
  // Launchers name their command as a path within the package.
  const launched = /^packages\/[^/]+\/bin\//.test(file.path)
    ? [...file.text.matchAll(/'(src\/[\w/-]+\.ts)'/g)].map((match) => match[1]!)
    : []
  return [...imported, ...launched.map((path) => posix.join(home, '..', path))]
}

test('the bans find what they ban, in code only', () => {
  const say = (path: string, text: string) => banProblems(sample(path, text)).join('\n')
  const hot = 'packages/ring/src/spsc-ring.ts'
  assert.match(say(hot, 'const a = JSON.parse(b)'), /:1: JSON.parse on the hot path; use read/)
  assert.equal(say('packages/cli/src/a.ts', 'const a = JSON.parse(b)'), '')
  assert.equal(say(hot, "// JSON.parse(b)\nconst a = 'JSON.parse(b)'"), '')
  assert.match(
    say('packages/io/src/a.ts', '\nAtomics.wait(a, 0, 0)'),
    /:2: Atomics.wait; use Doorbell/,
  )
  assert.equal(say(hot, 'Atomics.wait(a, 0, 0)'), '')
  const timer = 'setTimeout'
  const sleep = `await new Promise((resolve) => ${timer}(resolve, 10))`
  assert.match(say('packages/io/src/a.test.ts', sleep), /sleep in a test/)
  assert.match(say('test/a.ts', `import { ${timer} } from 'node:${'timers'}/promises'`), /sleep in/)
  assert.match(say('packages/io/src/a.ts', 'console.log(1)'), /the log function/)
  assert.equal(say('packages/cli/src/a.ts', 'console.log(1)'), '')
  assert.match(say('bench/a.ts', `// ${'TO' + 'DO'}: later`), /open an issue/)
  assert.match(say('bench/a.ts', 'export enum A {}'), /as const/)
  assert.match(say('bench/a.ts', 'export default 1'), /named export/)
})

test('words are blanked and code is kept', () => {
  const { code } = blankWords("a('x{') // {\nb(`y${c({ d: '}' })}z`) /* } */\ne(/[/'{]/g) / f")
  assert.equal(code.replace(/ +/g, ' '), 'a( ) \nb( c({ d: }) ) \ne( ) / f'.replace(/ +/g, ' '))
})

test('long functions, methods and callbacks are found, long classes are not', () => {
  const body = (indent: string) => `${indent}x()\n`.repeat(70)
  const long = (first: string, indent: string) => `${first}\n${body(`${indent}  `)}${indent}}`
  const sizes = (text: string) => longFunctions(sample('a.ts', text)).map(({ size }) => size)
  assert.deepEqual(sizes(long('export function f(a: string): void {', '')), [72])
  assert.deepEqual(sizes(`class A {\n${long('  #m(): void {', '  ')}\n}`), [72])
  assert.deepEqual(sizes(`${long("test('x', () => {", '')})`), [72])
  assert.deepEqual(sizes(`${long('const f = async () => {', '')}`), [72])
  assert.deepEqual(sizes(long('class A {', '')), [])
  assert.deepEqual(sizes(long('function f(\n  a: string,\n): void {', '')), [74])
})
