/**
 * Copies one file and proves it: what was written is synced, read back, and has the same digest.
 */
import { closeSync, fstatSync, fsyncSync, futimesSync, openSync, readSync } from 'node:fs'
import { LedgerError } from '@ringledger/base'
import { onSync, writeFully } from '@ringledger/base/internal'
import type { XXHash } from 'xxhash-wasm'
import { hex } from '../file-scan.ts'
import type { CopiedFile } from './marker.ts'

const CHUNK_BYTES = 8 * 1024 * 1024

/**
 * `bytesDone` is told after each piece; resolves to let others run in between. @throws LedgerError
 * DISK_FULL; DISK_FAILED, also when what is read back is not what was read
 */
export async function copyProved(
  name: string,
  from: string,
  to: string,
  newHash: () => XXHash<bigint>,
  bytesDone: (bytes: number) => Promise<void>,
): Promise<CopiedFile> {
  const source = openSync(from, 'r')
  const target = openSync(to, 'w+')
  try {
    const { size, mtimeMs, atimeMs } = fstatSync(source)
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    const written = newHash()
    let at = 0
    for (let count = 0; ; at += count) {
      count = readSync(source, chunk, 0, CHUNK_BYTES, at)
      if (count === 0) break
      written.update(chunk.subarray(0, count))
      writeFully(target, chunk, 0, count, at, `write of ${to}`)
      await bytesDone(count)
    }
    futimesSync(target, atimeMs / 1000, mtimeMs / 1000)
    onSync(`sync of ${to}`, () => fsyncSync(target))
    const digest = hex(written.digest())
    const found = await digestOf(target, chunk, newHash(), bytesDone)
    if (at !== size || found !== digest) {
      throw new LedgerError('DISK_FAILED', `${to} is not what was read from ${from}`)
    }
    return { name, sizeBytes: size, mtimeMs, digest }
  } finally {
    closeSync(source)
    closeSync(target)
  }
}

async function digestOf(
  descriptor: number,
  chunk: Buffer,
  hash: XXHash<bigint>,
  bytesDone: (bytes: number) => Promise<void>,
): Promise<string> {
  for (let at = 0, count = 0; ; at += count) {
    count = readSync(descriptor, chunk, 0, chunk.length, at)
    if (count === 0) return hex(hash.digest())
    hash.update(chunk.subarray(0, count))
    await bytesDone(count)
  }
}
