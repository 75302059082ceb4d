/**
 * Makes this checkout ready to run on a machine that has only Node >= 20 with npm: fetches pnpm,
 * the pinned newer Node and every dependency as the lockfile says. Owns the promise that a second
 * call costs next to nothing: a stamp in node_modules says what was installed. Plain JavaScript, no
 * dependency.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MIN_NODE_MAJOR = 20
const INSTALL_LIMIT_MS = 15 * 60_000
const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const STAMP = join(ROOT, 'node_modules', '.ringledger-stamp')
/** The pinned Node; everything of RingLedger runs with it. */
export const NODE = join(ROOT, 'node_modules', '.bin', 'node')

/** A reason to stop that the reader can act on. */
class Refusal extends Error {}

/** Changes whenever an install could give another result. */
function wantedStamp() {
  const hash = createHash('sha256')
  const manifests = readdirSync(join(ROOT, 'packages')).map(
    (name) => `packages/${name}/package.json`,
  )
  const roots = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', 'bench/package.json']
  const members = ['examples/package.json', 'test/package.json', ...manifests.sort()]
  for (const path of [...roots, ...members]) {
    const full = join(ROOT, path)
    if (existsSync(full)) hash.update(path).update('\0').update(readFileSync(full))
  }
  return `${hash.digest('hex')} ${process.platform}-${process.arch} ${ROOT}`
}

function isInstalled(wanted) {
  try {
    return readFileSync(STAMP, 'utf8') === wanted && existsSync(NODE)
  } catch {
    return false
  }
}

function checkMachine() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < MIN_NODE_MAJOR) {
    const way = 'install a newer one from https://nodejs.org or with your package manager'
    throw new Refusal(
      `Node ${process.versions.node} is too old, ${MIN_NODE_MAJOR} is needed: ${way}`,
    )
  }
  const modules = join(ROOT, 'node_modules')
  for (const directory of [ROOT, modules]) {
    if (directory === modules && !existsSync(modules)) continue
    try {
      accessSync(directory, constants.W_OK)
    } catch {
      const way = 'change its owner (chown) or clone RingLedger to a directory of your own'
      throw new Refusal(`no right to write to ${directory}: ${way}`)
    }
  }
}

/** What the output of a failed install means, and the way out. */
function explain(output) {
  const network =
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|META_FETCH_FAIL/
  if (network.test(output)) {
    return 'no way to the npm registry: check the network, or set the proxy (npm config set proxy …)'
  }
  if (/ENOSPC/.test(output)) return 'the disk is full: make room (about 500 MB are needed)'
  if (/EACCES|EPERM|EROFS/.test(output)) {
    return 'no right to write to the npm or pnpm cache: check the owner of ~/.npm and ~/.local/share/pnpm'
  }
  if (/OUTDATED_LOCKFILE/.test(output)) {
    return 'pnpm-lock.yaml does not fit the package.json files: undo the change, or run pnpm install'
  }
  return 'the install failed'
}

/** One short line per step on a terminal in place, in a log at most every few seconds. */
function progressPrinter() {
  const terminal = process.stderr.isTTY
  let lastMs = 0
  return (text, isLast = false) => {
    const nowMs = Date.now()
    if (!isLast && nowMs - lastMs < (terminal ? 100 : 5_000)) return
    lastMs = nowMs
    process.stderr.write(terminal ? `\r\x1b[K  ${text}${isLast ? '\n' : ''}` : `  ${text}\n`)
  }
}

function install(pnpm) {
  const args = ['--yes', pnpm, 'install', '--frozen-lockfile', '--reporter=append-only']
  const child = spawn('npx', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  const show = progressPrinter()
  let output = ''
  const take = (chunk) => {
    output = (output + chunk).slice(-200_000)
    const progress = /Progress: ([^\n]*)$/m.exec(String(chunk).trimEnd())
    if (progress) show(progress[1])
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const limit = setTimeout(() => child.kill('SIGKILL'), INSTALL_LIMIT_MS)
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      clearTimeout(limit)
      const missing =
        error.code === 'ENOENT' ? 'npx is not found: install npm (it comes with Node)' : ''
      reject(new Refusal(missing || String(error)))
    })
    child.on('close', (code, signal) => {
      clearTimeout(limit)
      if (code === 0) return resolve()
      const why = signal ? `stopped after ${INSTALL_LIMIT_MS / 60_000} minutes` : explain(output)
      const tail = output.trim().split('\n').slice(-12).join('\n    ')
      reject(new Refusal(`${why}\n    ${tail}`))
    })
  })
}

/** Installs unless that has been done for this very state of the checkout. */
export async function bootstrap() {
  const wanted = wantedStamp()
  if (isInstalled(wanted)) return
  checkMachine()
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const startMs = Date.now()
  process.stderr.write(
    `RingLedger: installing dependencies (once, with ${manifest.packageManager})\n`,
  )
  await install(manifest.packageManager)
  if (!existsSync(NODE)) {
    throw new Refusal(`${NODE} is missing after the install: remove node_modules and try again`)
  }
  writeFileSync(STAMP, wanted)
  process.stderr.write(`  installed in ${((Date.now() - startMs) / 1000).toFixed(0)} s\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  bootstrap().catch((error) => {
    const text = error instanceof Refusal ? error.message : error.stack
    process.stderr.write(`RingLedger: cannot install: ${text}\n`)
    process.exitCode = 1
  })
}
