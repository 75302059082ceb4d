/**
 * Starts a command with a Node that runs TypeScript: this one if it is new enough, else the pinned
 * one of the checkout. Plain JavaScript that Node 20 reads.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const FIRST_MAJOR_WITH_TYPES = 24
const PINNED = fileURLToPath(new URL('../../../node_modules/.bin/node', import.meta.url))

/**
 * Runs `main(argv)` of `file`, both below packages/cli; its result, if any, becomes the exit code.
 */
export async function launch(binUrl, file, main) {
  if (Number(process.versions.node.split('.')[0]) < FIRST_MAJOR_WITH_TYPES) {
    reExec(fileURLToPath(binUrl))
    return
  }
  // Stripped types are kept between runs, for worker threads too (they go by the environment):
  // without this each thread loads the compiler, which costs 200 ms at the start and 15 MB as long
  // as it runs.
  nodeModule.enableCompileCache?.()
  const cacheDirectory = nodeModule.getCompileCacheDir?.()
  if (cacheDirectory !== undefined) process.env.NODE_COMPILE_CACHE ??= dirname(cacheDirectory)
  // The reader went away (mqadmin … | head): nothing is left to be done.
  process.stdout.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })
  const command = await import(new URL(`../${file}`, import.meta.url).href)
  const code = await command[main](process.argv.slice(2))
  if (code !== undefined) process.exitCode = code
}

function reExec(bin) {
  if (!existsSync(PINNED)) {
    const need = `Node ${FIRST_MAJOR_WITH_TYPES} or newer is needed, this is ${process.versions.node}`
    process.stderr.write(`${need}: run \`node scripts/bootstrap.mjs\` in the checkout\n`)
    process.exitCode = 1
    return
  }
  const child = spawn(PINNED, [bin, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143)
  })
}
