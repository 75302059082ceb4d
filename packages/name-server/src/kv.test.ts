import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { LedgerError } from '@ringledger/base'
import { KvConfig } from './kv.ts'

describe('KV configuration', () => {
  let directory: string
  let path: string

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringledger-kv-'))
    path = join(directory, 'kvConfig.json')
  })

  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it('reads what it wrote, and leaves no other file behind', () => {
    const kv = KvConfig.open(path)
    kv.put('N', 'a', '1')
    kv.put('N', 'b', '2')
    kv.delete('N', 'a')
    const again = KvConfig.open(path)
    assert.deepEqual([...(again.list('N') ?? [])], [['b', '2']])
    assert.equal(again.get('N', 'a'), undefined)
    assert.deepEqual(readdirSync(directory), ['kvConfig.json'])
  })

  it('reads the file of an Apache name server', () => {
    writeFileSync(path, '{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"broker-a:4;broker-b:4"}}}')
    assert.equal(KvConfig.open(path).get('ORDER_TOPIC_CONFIG', 'T'), 'broker-a:4;broker-b:4')
  })

  it('starts empty without a file or with an empty one', () => {
    assert.equal(KvConfig.open(path).list('N'), undefined)
    writeFileSync(path, '')
    assert.equal(KvConfig.open(path).list('N'), undefined)
  })

  it('keeps an emptied namespace', () => {
    const kv = KvConfig.open(undefined)
    kv.put('N', 'a', '1')
    kv.delete('N', 'a')
    kv.delete('N', 'a')
    kv.delete('other', 'a')
    assert.equal(kv.list('N')?.size, 0)
    assert.equal(kv.list('other'), undefined)
  })

  it('changes nothing when the file cannot be written', () => {
    const kv = KvConfig.open(path)
    kv.put('N', 'a', '1')
    mkdirSync(`${path}.tmp`)
    assert.throws(
      () => kv.put('N', 'a', '2'),
      (error) => error instanceof LedgerError && error.code === 'DISK_FAILED',
    )
    assert.equal(kv.get('N', 'a'), '1')
    assert.match(readFileSync(path, 'utf8'), /"a":"1"/)
  })

  it('refuses to grow without end', () => {
    const kv = KvConfig.open(undefined)
    const value = 'x'.repeat(1024 * 1024)
    for (const key of ['a', 'b', 'c']) kv.put('N', key, value)
    assert.throws(() => kv.put('N', 'd', value), /full/)
    kv.put('N', 'a', value.slice(1))
    kv.delete('N', 'b')
    kv.put('N', 'd', value)
    assert.equal(kv.list('N')?.size, 3)
  })
})
