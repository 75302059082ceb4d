import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogFileReader, Recovered } from '@ringledger/io'
import { writeBlank, writeEntryHeader } from '@ringledger/protocol'
import { LogArena } from 'sharedarraybuffer-ringbuffer'
import { CommitIndex } from './commit-index.ts'

const ENTRY_BYTES = 100

class Log {
  readonly arena: LogArena
  end: number
  index: number

  constructor(end: number, index: number) {
    const shared = LogArena.allocate({ sizeBytes: 16 * 4096, maxEntryBytes: 4096 })
    this.arena = new LogArena(shared)
    this.arena.reset(end)
    this.arena.committed = end
    this.end = end
    this.index = index
  }

  lay(count: number): void {
    for (let at = 0; at < count; at++) {
      const offset = this.arena.claim(this.end, ENTRY_BYTES)
      this.index += 1
      const bodyBytes = ENTRY_BYTES - 48
      const header = { index: this.index, term: 1, position: this.end, bodyBytes }
      writeEntryHeader(this.arena.view, offset, header)
      this.end += ENTRY_BYTES
      this.arena.appended = this.end
      this.arena.durable = this.end
    }
  }

  layBlank(sizeBytes: number): void {
    const offset = this.arena.claim(this.end, sizeBytes)
    writeBlank(this.arena.bytes, this.arena.view, offset, sizeBytes)
    this.end += sizeBytes
  }
}

function recovered(end: number, index: number, overrides: Partial<Recovered> = {}): Recovered {
  const tail = { endPosition: end, lastIndex: index } as Recovered['tail']
  const committed = { committedPosition: end, committedIndex: index }
  return { tail, ...committed, holes: [], ...overrides } as unknown as Recovered
}

function filesWith(indexOf: (position: number) => number): LogFileReader {
  return { indexOfPosition: indexOf } as unknown as LogFileReader
}

const NO_FILES = filesWith(() => assert.fail('the arena has it'))

test('what passes through the arena is walked, fillers too', () => {
  const log = new Log(1_000, 9)
  const commits = new CommitIndex(log.arena, NO_FILES, recovered(1_000, 9))
  log.lay(3)
  log.layBlank(60)
  log.lay(1)
  commits.advance(1_200)
  assert.deepEqual([commits.position, commits.index], [1_200, 11])
  commits.advance(log.end)
  assert.deepEqual([commits.position, commits.index], [log.end, 13])
  commits.advance(1_200)
  assert.equal(commits.position, log.end)
})

test('what was there at the start is looked up; what cannot be is not shown', () => {
  const log = new Log(1_000, 9)
  log.arena.committed = 500
  let known = -1
  const files = filesWith((position) => (known < 0 ? -1 : Math.floor(position / ENTRY_BYTES)))
  const start = recovered(1_000, 9, { committedPosition: 500, committedIndex: 4 })
  const commits = new CommitIndex(log.arena, files, start)
  commits.advance(700)
  assert.deepEqual([commits.position, commits.index], [500, 4])
  known = 0
  commits.advance(800)
  assert.deepEqual([commits.position, commits.index], [800, 7])
  log.lay(5)
  commits.advance(log.end)
  assert.deepEqual([commits.position, commits.index], [log.end, 14])
})

test('a cut below the end at the start moves the place from which the arena has everything', () => {
  const log = new Log(1_000, 9)
  log.arena.committed = 500
  const start = recovered(1_000, 9, { committedPosition: 500, committedIndex: 4 })
  const commits = new CommitIndex(log.arena, NO_FILES, start)
  log.arena.truncate(600)
  log.end = 600
  log.index = 5
  commits.cut(600, 5)
  log.arena.durable = 600
  log.layBlank(30)
  log.lay(5)
  commits.advance(log.end)
  assert.deepEqual([commits.position, commits.index], [1_130, 10])
})

test('a damaged entry bounds what is shown at the start', () => {
  const log = new Log(1_000, 9)
  log.arena.committed = 300
  const holes = [7, 3].map((index) => {
    const bounds = { previousEndPosition: index * 100, position: index * 100, endPosition: 0 }
    return { ...bounds, index, term: 1 }
  })
  const start = recovered(1_000, 9, { holes: holes.map((hole) => ({ ...hole, reason: 'size' })) })
  const commits = new CommitIndex(log.arena, NO_FILES, start)
  assert.deepEqual([commits.position, commits.index], [300, 2])
})

test('a log that begins anew is counted from there', () => {
  const log = new Log(5_000, 49)
  const commits = new CommitIndex(log.arena, NO_FILES, recovered(1_000, 9))
  commits.reset(5_000, 49)
  log.lay(2)
  commits.advance(log.end)
  assert.deepEqual([commits.position, commits.index], [5_200, 51])
})
