import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { LedgerError } from './errors.ts'
import { onDisk, onSync, readFully, replaceFile } from './file-io.ts'

const directory = mkdtempSync(join(tmpdir(), 'base-files-'))
after(() => rmSync(directory, { recursive: true }))

function withCode(code: string): Error {
  return Object.assign(new Error(code), { code })
}

function fails(code: LedgerError['code'], what: RegExp, call: () => void): void {
  assert.throws(call, (error) => {
    assert.ok(error instanceof LedgerError)
    assert.match(error.message, what)
    return error.code === code
  })
}

test('a file is replaced whole, and nothing else is left beside it', () => {
  const path = join(directory, 'replaced')
  replaceFile(path, Buffer.alloc(100_000, 1))
  replaceFile(path, Buffer.from('new'))
  assert.equal(readFileSync(path, 'utf8'), 'new')
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.startsWith('replaced')),
    ['replaced'],
  )
})

test('the mode asked for is set whatever the umask', () => {
  const path = join(directory, 'mode')
  writeFileSync(path, 'old')
  chmodSync(path, 0o664)
  replaceFile(path, Buffer.from('new'), statSync(path).mode)
  assert.equal(statSync(path).mode & 0o777, 0o664)
})

test('what cannot be written leaves the old file, and says which', () => {
  const path = join(directory, 'kept')
  replaceFile(path, Buffer.from('old'))
  mkdirSync(`${path}.tmp`)
  fails('DISK_FAILED', /write of .*kept\.tmp: EISDIR/, () => replaceFile(path, Buffer.from('new')))
  assert.equal(readFileSync(path, 'utf8'), 'old')
})

test('lack of space is told apart, but excuses no sync', () => {
  for (const code of ['ENOSPC', 'EDQUOT']) {
    fails('DISK_FULL', /^x: /, () => onDisk('x', () => assert.fail(withCode(code))))
    fails('DISK_FAILED', /^x: /, () => onSync('x', () => assert.fail(withCode(code))))
  }
  fails('DISK_FAILED', /^x: EIO/, () => onDisk('x', () => assert.fail(withCode('EIO'))))
})

test('a read ends early only at the end of the file', () => {
  const path = join(directory, 'read')
  writeFileSync(path, 'abcdef')
  const target = Buffer.alloc(10)
  const descriptor = openSync(path, 'r')
  assert.equal(readFully(descriptor, target, 1, 9, 2, 'x'), 4)
  closeSync(descriptor)
  assert.equal(target.toString('utf8', 1, 5), 'cdef')
})
