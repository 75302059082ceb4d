#!/usr/bin/env node
/**
 * Starts `ledger`: the built files of a package, or the sources of a checkout with a Node that
 * strips types. Plain JavaScript that Node 20 reads.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { fileURLToPath } from 'node:url'

const MIN_NODE_MAJOR = 24
const SOURCES = new URL('../src/main.ts', import.meta.url)
const BUILT = new URL('../dist/main.js', import.meta.url)
const PINNED = fileURLToPath(new URL('../../../node_modules/.bin/node', import.meta.url))

async function main() {
  const isCheckout = existsSync(SOURCES)
  if (Number(process.versions.node.split('.')[0]) < MIN_NODE_MAJOR) {
    if (isCheckout && existsSync(PINNED)) return reExec()
    process.stderr.write(`ledger needs Node ${MIN_NODE_MAJOR}, this is ${process.versions.node}\n`)
    process.exitCode = 1
    return
  }
  nodeModule.enableCompileCache?.()
  // The reader went away (ledger tail | head): nothing is left to be done.
  process.stdout.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })
  const { ledgerProcess } = await import((isCheckout ? SOURCES : BUILT).href)
  const code = await ledgerProcess(process.argv.slice(2))
  if (code !== 0) process.exitCode = code
}

function reExec() {
  const child = spawn(PINNED, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143)
  })
}

await main()
