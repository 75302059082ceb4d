/**
 * An importer's machine: a copy of the checkout to pack from (the checkout itself stays as it is),
 * Node 24 with its npm, and a project in which nothing but the tarballs is installed.
 */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { type CommandResult, ROOT, runCommand } from '../support/run-command.ts'

/** What packing reads; sources, no builds. */
const PACKED = ['packages', 'scripts', 'package.json', 'pnpm-workspace.yaml', 'LICENSE']
const CONFIG = ['tsconfig.base.json', 'pnpm-lock.yaml', '.npmrc']
const LEFT_OUT = new Set(['dist', 'testdata', '.git'])
const NODE_24 = 'node@24'

/** Packs everything into `<root>/tarballs`; the paths of the tarballs. */
export async function packAll(root: string): Promise<string[]> {
  const checkout = join(root, 'checkout')
  mkdirSync(checkout)
  for (const name of [...PACKED, ...CONFIG]) {
    cpSync(join(ROOT, name), join(checkout, name), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !LEFT_OUT.has(basename(source)),
    })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'))
  const tarballs = join(root, 'tarballs')
  const script = join(checkout, 'scripts', 'pack.mjs')
  const packed = await runCommand(process.execPath, [script, tarballs], { cwd: checkout })
  assert.equal(packed.code, 0, packed.stdout + packed.stderr)
  return packed.stdout.trim().split('\n')
}

export class EmptyProject {
  readonly directory: string
  readonly #node: string

  private constructor(directory: string, node: string) {
    this.directory = directory
    this.#node = node
  }

  /**
   * Gets Node 24 from the npm registry (or npm's cache). Undefined with a reason where the registry
   * is out of reach.
   */
  static async make(root: string): Promise<EmptyProject | string> {
    const machine = join(root, 'machine')
    const directory = join(root, 'project')
    for (const path of [machine, directory]) {
      mkdirSync(path)
      writeFileSync(join(path, 'package.json'), '{"private":true,"type":"module"}\n')
    }
    const install = ['install', '--prefer-offline', '--no-audit', NODE_24]
    const got = await runCommand('npm', install, { cwd: machine })
    if (got.code !== 0) return `npm install ${NODE_24}: ${got.stderr.trim().split('\n').at(-1)}`
    const node = join(machine, 'node_modules', 'node', 'bin', 'node')
    return new EmptyProject(directory, node)
  }

  /** A plain `npm install` under Node 24, as an importer types it. */
  async install(...packages: readonly string[]): Promise<void> {
    const install = ['install', '--prefer-offline', ...packages]
    const done = await runCommand('npm', install, { cwd: this.directory, env: this.#environment() })
    assert.equal(done.code, 0, done.stdout + done.stderr)
  }

  /** Runs a program of the project with Node 24. */
  run(program: string, ...args: readonly string[]): Promise<CommandResult> {
    const env = this.#environment()
    return runCommand(this.#node, [program, ...args], { cwd: this.directory, env })
  }

  /** Puts a file of the checkout into the project. */
  copy(file: string): string {
    const name = basename(file)
    cpSync(join(ROOT, file), join(this.directory, name))
    return name
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.directory, name), text)
  }

  has(name: string): boolean {
    return existsSync(join(this.directory, name))
  }

  /** Node 24 comes first, also for npm; what the test runner set is not the importer's. */
  #environment(): NodeJS.ProcessEnv {
    const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, ...rest } = process.env
    return { ...rest, PATH: `${dirname(this.#node)}${delimiter}${rest.PATH}` }
  }
}
