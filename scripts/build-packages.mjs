/**
 * Builds the packages that are published: JavaScript and declarations of every one into its `dist`,
 * for Node 24, which strips no types inside node_modules. The checkout itself needs no build; this
 * runs before `pnpm pack`. Owns the rule that what is packed compiled without an error and is
 * whole: every file that a built one names is there.
 */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
/** What a built file names beside itself: modules, and entries of workers. */
const NAMED_FILE = /(?:\bfrom |\bimport\(|^import |\bworkerUrl\()(['"])(\.{1,2}\/[^'"]+)\1/gm
/** Set for `pnpm pack` by a caller that has built everything already. */
export const BUILT = 'RINGLEDGER_PACKAGES_BUILT'
/** `import('./a.ts')` and `from './a.ts'` in a declaration; the compiler leaves them. */
const DECLARED_IMPORT = /(\bfrom |\bimport\(|^import )(['"])(\.{1,2}\/[^'"]+)\.ts\2/gm
/** For declarations that speak of Buffer or a socket: a consumer may have `types: []`. */
const NODE_TYPES = '/// <reference types="node" />\n'

/** Directories below packages/ that are published, those that others need first. */
export function publishedPackages(root = ROOT) {
  const found = new Map()
  for (const directory of readdirSync(join(root, 'packages'))) {
    const path = join(root, 'packages', directory, 'package.json')
    const manifest = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {}
    if (manifest.publishConfig !== undefined) found.set(manifest.name, { directory, manifest })
  }
  const ordered = new Set()
  const visit = ({ directory, manifest }) => {
    for (const name of Object.keys(manifest.dependencies ?? {})) {
      if (found.has(name)) visit(found.get(name))
    }
    ordered.add(directory)
  }
  for (const one of found.values()) visit(one)
  return [...ordered]
}

function sourcesOf(directory) {
  return readdirSync(join(ROOT, 'packages', directory, 'src'), { recursive: true })
    .map((name) => join(ROOT, 'packages', directory, 'src', name))
    .filter((path) => path.endsWith('.ts'))
}

/** Package names to source files: what is found below node_modules the compiler may not emit. */
function sourcePaths() {
  return Object.fromEntries(
    readdirSync(join(ROOT, 'packages')).map((directory) => {
      const manifest = readFileSync(join(ROOT, 'packages', directory, 'package.json'), 'utf8')
      const index = join(ROOT, 'packages', directory, 'src', 'index.ts')
      return [JSON.parse(manifest).name, [index]]
    }),
  )
}

/** One program for all, so that each package is checked against the sources of the others. */
function compile(directories, out) {
  const options = {
    rootDir: join(ROOT, 'packages'),
    outDir: out,
    noEmitOnError: true,
    // What Node 24 and 26 both have; `esnext` would let through what only the newer one knows.
    lib: ['es2024', 'esnext.disposable'],
    paths: sourcePaths(),
    typeRoots: [join(ROOT, 'node_modules', '@types')],
  }
  const entries = directories.flatMap(sourcesOf).filter((path) => {
    return /\/src\/index\.ts$|\.worker\.ts$|\/ledger-cli\/src\/main\.ts$/.test(path)
  })
  const config = { extends: join(ROOT, 'tsconfig.base.json'), compilerOptions: options }
  const path = join(out, 'tsconfig.json')
  writeFileSync(path, JSON.stringify({ ...config, files: entries }))
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc')
  const { status, stdout, error } = spawnSync(tsc, ['-p', path], { encoding: 'utf8' })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`the packages do not compile:\n${stdout}`)
}

function finishDeclarations(directory, usesNode) {
  for (const name of readdirSync(directory, { recursive: true })) {
    if (!name.endsWith('.d.ts')) continue
    const path = join(directory, name)
    const text = readFileSync(path, 'utf8').replace(DECLARED_IMPORT, '$1$2$3.js$2')
    writeFileSync(path, name === 'index.d.ts' && usesNode ? NODE_TYPES + text : text)
  }
}

function checkWhole(directory) {
  for (const name of readdirSync(directory, { recursive: true })) {
    const path = join(directory, name)
    if (!/\.(js|d\.ts)$/.test(name)) continue
    for (const [, , named] of readFileSync(path, 'utf8').matchAll(NAMED_FILE)) {
      const wanted = join(dirname(path), named.replace(/\.ts$/, '.js'))
      if (!existsSync(wanted)) throw new Error(`${path} names ${named}, which was not built`)
    }
  }
}

/** Fills `dist` of every published package; what stood there before is gone. */
export function buildPackages() {
  const directories = publishedPackages()
  const out = mkdtempSync(join(tmpdir(), 'ringledger-build-'))
  try {
    compile(directories, out)
    for (const directory of directories) {
      const built = join(out, directory, 'src')
      const manifest = join(ROOT, 'packages', directory, 'package.json')
      const { dependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8'))
      finishDeclarations(built, Object.hasOwn(dependencies, '@types/node'))
      checkWhole(built)
      const dist = join(ROOT, 'packages', directory, 'dist')
      rmSync(dist, { recursive: true, force: true })
      cpSync(built, dist, { recursive: true })
    }
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.env[BUILT] === undefined) {
  buildPackages()
}
