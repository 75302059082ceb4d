import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import { completeCopy, forgetIncoming } from './completion.ts'
import { type CopyState, OldLogCopy } from './copy.ts'
import { makePlainStore, type PlainStoreShape } from './plain-store-fake.ts'

const scratch = mkdtempSync(join(tmpdir(), 'ringledger-completion-'))
after(() => rmSync(scratch, { recursive: true }))
const WHOLE: PlainStoreShape = { messages: 80 }

function copyAt(root: string): OldLogCopy {
  return new OldLogCopy({
    storePathRootDir: root,
    storePathCommitLog: join(root, 'commitlog'),
    storePathDLedgerCommitLog: join(root, 'data'),
  })
}

function filesOf(root: string): Map<string, string> {
  const directory = join(root, 'commitlog')
  const names = readdirSync(directory).filter((name) => /^\d{20}$/.test(name))
  return new Map(
    names.map((name) => [name, readFileSync(join(directory, name)).toString('base64')]),
  )
}

describe('a copy gets what it lacks', () => {
  let [whole, own, count] = ['', '', 0]
  let reference: CopyState
  const lines: string[] = []
  let reads = 0

  beforeEach(async () => {
    whole = join(scratch, `whole-${++count}`)
    own = join(scratch, `own-${count}`)
    makePlainStore(whole, WHOLE)
    reference = await copyAt(whole).state([])
    lines.length = 0
    reads = 0
  })

  /** `damage` changes what a read gives, or throws as a lost peer or a killed process would. */
  async function complete(damage: (bytes: Buffer, read: number) => Buffer = (bytes) => bytes) {
    const source = copyAt(whole)
    const state = await copyAt(own).state([reference.report.endOffset])
    await completeCopy({
      directory: join(own, 'commitlog'),
      reference,
      own: state.report,
      read: async (position, sizeBytes) => {
        // In pieces, as if the files were long.
        const piece = Math.min(sizeBytes, 1000)
        const fields = {
          position,
          sizeBytes: piece,
          digestAt: [],
          id: 1,
          question: 'read',
        } as const
        const ask = { type: 'oldLogAsk', from: 'n1', to: 'n0', term: 0, ...fields } as const
        return damage(await source.answer(ask), reads++)
      },
      onProgress: () => {},
      log: (_level, line) => lines.push(line),
    })
  }

  for (const [title, shape] of [
    ['an empty one', { messages: 0 }],
    ['one that lacks the end', { messages: 31 }],
    ['one without a file in the middle', { messages: 80, withoutFile: 1 }],
    ['one without the first file', { messages: 80, withoutFile: 0 }],
  ] as const) {
    test(`${title} becomes equal`, async () => {
      makePlainStore(own, shape)
      await complete()
      assert.deepEqual(filesOf(own), filesOf(whole))
      forgetIncoming(join(own, 'commitlog'))
      assert.deepEqual(readdirSync(join(own, 'commitlog')), readdirSync(join(whole, 'commitlog')))
    })
  }

  test('ended at any moment, it goes on from there, and comes to the same end', async () => {
    const random = seededRandom(6)
    makePlainStore(own, { messages: 31 })
    let rounds = 0
    let got = 0
    for (let done = false; !done; rounds++) {
      const lastRead = Math.floor(random() * 6)
      const from = reads
      try {
        await complete((bytes, read) => {
          if (read - from > lastRead) throw new Error('the process ends here')
          got += bytes.length
          // A process that is killed may have written a part only.
          return read - from === lastRead ? bytes.subarray(0, Math.floor(random() * 1000)) : bytes
        })
        done = true
      } catch (error) {
        assert.match((error as Error).message, /the process ends here/)
      }
    }
    assert.ok(rounds > 3)
    assert.deepEqual(filesOf(own), filesOf(whole))
    const lacked = [...filesOf(whole)].length * 4096
    assert.ok(got < lacked + rounds * 1000, `${got} bytes in ${rounds} rounds: it began anew`)
  })

  test('files keep the time of their last change, which retention goes by', async () => {
    const [first = ''] = readdirSync(join(whole, 'commitlog'))
    utimesSync(join(whole, 'commitlog', first), 1_000_000, 1_000_000)
    reference = await copyAt(whole).state([])
    makePlainStore(own, { messages: 0 })
    await complete()
    assert.equal(statSync(join(own, 'commitlog', first)).mtimeMs, 1_000_000_000)
  })

  test('a byte that changed on the way is noticed, and the file fetched again', async () => {
    makePlainStore(own, { messages: 0 })
    await complete((bytes, read) => {
      if (read === 2) bytes[500]! ^= 1
      return bytes
    })
    assert.match(lines.join('\n'), /came with another digest; it is fetched again/)
    assert.deepEqual(filesOf(own), filesOf(whole))
  })

  test('what never has the right digest takes no place, and what was there stays', async () => {
    makePlainStore(own, { messages: 31 })
    const before = filesOf(own)
    await assert.rejects(
      complete((bytes) => {
        bytes[0]! ^= 1
        return bytes
      }),
      { code: 'CORRUPT', message: /3 times with another digest: nothing was changed/ },
    )
    assert.deepEqual(filesOf(own), before)
  })
})
