import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blankWords } from './blank-words.ts'
import { importsOf } from './imports.ts'
import { layerProblems } from './layers.ts'
import { type SourceFile, sourceFiles } from './sources.ts'

function sample(path: string, text: string): SourceFile {
  return { path, text, ...blankWords(text) }
}

function problemsOf(path: string, text: string): string {
  return layerProblems(sample(path, text)).join('\n')
}

test('imports go in the directions of ARCHITECTURE.md', () => {
  assert.deepEqual(sourceFiles().flatMap(layerProblems), [])
})

test('the check sees every form of import', () => {
  const text = [
    "import { a } from '@ringledger/base'",
    "import type { B } from './b.ts'",
    "export { type C } from './c.ts'",
    "const d = await import('node:fs')",
    "new Worker(new URL('./e.worker.ts', import.meta.url))",
    "import './f.ts'",
    "new Worker(workerUrl('./w.worker.ts', import.meta.url))",
    "// import { g } from 'g'",
    "const h = `import { h } from 'h'`",
  ].join('\n')
  assert.deepEqual(
    importsOf(sample('packages/io/src/x.ts', text)).map(
      ({ specifier, line, typeOnly }) => `${line} ${specifier} ${typeOnly}`,
    ),
    [
      '1 @ringledger/base false',
      '2 ./b.ts true',
      '3 ./c.ts true',
      '4 node:fs false',
      '5 ./e.worker.ts false',
      '6 ./f.ts false',
      '7 ./w.worker.ts false',
    ],
  )
})

test('each broken rule is found and says what to do', () => {
  const core = 'packages/consensus/src/core/raft.ts'
  assert.match(problemsOf(core, "import { x } from '@ringledger/protocol'"), /base only/)
  assert.match(problemsOf(core, "import { x } from 'node:fs'"), /no clock, disk or socket/)
  const io = 'packages/io/src/a.ts'
  assert.match(
    problemsOf(io, "import { x } from '@ringledger/network'"),
    /io must not import network/,
  )
  assert.match(problemsOf(io, "import { x } from '../../ring/src/a.ts'"), /leaves the package/)
  assert.match(problemsOf(io, "import { x } from './a'"), /write the file ending/)
  assert.match(problemsOf(io, "import { x } from 'fs'"), /builtins start with node:/)
  assert.match(
    problemsOf(io, "import { x } from '@ringledger/base/src/a.ts'"),
    /the package's door/,
  )
  const internal = "import { x } from '@ringledger/base/internal'"
  assert.match(problemsOf(io, internal), /io is published, that door is not/)
  assert.match(problemsOf(core, internal), /consensus is published/)
  assert.equal(problemsOf('packages/broker/src/a.ts', internal), '')
  const two = "import { a } from '@ringledger/io'\nimport { b } from '@ringledger/network'"
  assert.match(problemsOf('packages/broker/src/a.ts', two), /brings io and network together/)
  assert.equal(problemsOf('packages/broker/src/a.worker.ts', two), '')
  assert.equal(problemsOf('packages/broker/src/a.ts', two.replaceAll('import', 'import type')), '')
})
