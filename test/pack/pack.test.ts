/**
 * The packages as an importer gets them: tarballs of `pnpm pack`, plain `npm install` on Node 24 in
 * an empty project, types included. Needs the npm registry for msgpackr and commander.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ROOT, runCommand } from '../support/run-command.ts'
import { EmptyProject, packAll } from './empty-project.ts'

const PACKAGES = [
  'ringledger-base',
  'ringledger-consensus',
  'ringledger-engine',
  'ringledger-io',
  'ringledger-ledger-cli',
  'ringledger-network',
  'ringledger-protocol',
  'sharedarraybuffer-ringbuffer',
]
const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  module: 'nodenext',
  target: 'es2022',
  noEmit: true,
}

describe('tarballs in an empty project on Node 24', () => {
  const root = mkdtempSync(join(tmpdir(), 'ringledger-pack-'))
  let tarballs: string[] = []
  let project: EmptyProject | string = 'not made'

  before(async () => {
    tarballs = await packAll(root)
    project = await EmptyProject.make(root)
    if (typeof project !== 'string') await project.install(...tarballs)
  })

  after(() => rmSync(root, { recursive: true, force: true }))

  /** Without the registry there is nothing to install from; CI must have it. */
  function installed(): EmptyProject {
    if (typeof project === 'string') throw new Error(`CI needs the npm registry: ${project}`)
    return project
  }

  const offline = (): string | false => {
    return typeof project === 'string' && process.env.CI !== 'true' ? project : false
  }

  it('hold the engine, what it needs and the ledger command', async () => {
    const names = tarballs.map((path) => basename(path).replace(/-\d+\.\d+\.\d+\.tgz$/, ''))
    assert.deepEqual(names.sort(), PACKAGES)
    for (const tarball of tarballs) {
      const { stdout } = await runCommand('tar', ['--list', '--gzip', '--file', tarball])
      const files = stdout.trim().split('\n')
      assert.ok(files.includes('package/LICENSE'), `${tarball} has no LICENSE`)
      assert.ok(files.includes('package/README.md'), `${tarball} has no README.md`)
      const sources = files.filter((file) => /(?<!\.d)\.ts$|\.test\.|testdata/.test(file))
      assert.deepEqual(sources, [], `${tarball} has files that Node 24 cannot run`)
    }
  })

  it('give types to a strict TypeScript program', async (context) => {
    if (offline() !== false) return context.skip(String(offline()))
    const consumer = installed().copy('test/pack/consumer.ts')
    const config = { compilerOptions: { ...STRICT, types: ['node'] }, files: [consumer] }
    installed().write('tsconfig.json', JSON.stringify(config))
    const tsc = join(ROOT, 'node_modules', '.bin', 'tsc')
    const checked = await runCommand(tsc, ['--project', installed().directory])
    assert.equal(checked.code, 0, checked.stdout)
  })

  it('run: a group of three members, a server and its client', async (context) => {
    if (offline() !== false) return context.skip(String(offline()))
    const consumer = installed().copy('test/pack/consumer.ts')
    const { code, stdout, stderr } = await installed().run(consumer)
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^consumer: done on Node 24\./)
  })

  it('run every example', async (context) => {
    if (offline() !== false) return context.skip(String(offline()))
    const examples = readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.ts'))
    assert.ok(examples.length >= 3)
    for (const name of examples) {
      const { code, stderr } = await installed().run(installed().copy(`examples/${name}`))
      assert.equal(code, 0, `${name}: ${stderr}`)
    }
  })

  it('bring the ledger command', async (context) => {
    if (offline() !== false) return context.skip(String(offline()))
    const help = await installed().run('node_modules/.bin/ledger', '--help')
    assert.equal(help.code, 0, help.stderr)
    assert.match(help.stdout, /^Usage: ledger /)
  })
})
