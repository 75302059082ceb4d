/**
 * Packs what is published, as `npm run pack:all -- <directory>`: builds it and runs `pnpm pack` for
 * the `ledger` command and everything below it. The tarballs install with plain npm on Node 24.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BUILT, buildPackages, publishedPackages } from './build-packages.mjs'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const DEFAULT_DIRECTORY = 'tmp/packages'

function main(directory) {
  buildPackages()
  mkdirSync(directory, { recursive: true })
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const filters = publishedPackages().flatMap((name) => ['--filter', `./packages/${name}`])
  const pack = ['pack', '--pack-destination', directory]
  const { status, stdout, stderr, error } = spawnSync(
    'npx',
    ['--yes', manifest.packageManager, '--recursive', ...filters, ...pack],
    { cwd: ROOT, encoding: 'utf8', env: { ...process.env, [BUILT]: 'yes' } },
  )
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`pnpm pack failed:\n${stdout}${stderr}`)
  for (const name of readdirSync(directory).filter((file) => file.endsWith('.tgz'))) {
    process.stdout.write(`${join(directory, name)}\n`)
  }
}

main(resolve(process.argv[2] ?? DEFAULT_DIRECTORY))
