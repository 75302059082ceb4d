/** Where a plain log goes on after a stop, a kill and damage, and that nothing whole is dropped. */
import assert from 'node:assert/strict'
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { NodeDisk } from '@ringledger/io'
import { fileNameOfOffset } from '@ringledger/protocol'
import { PlainLog } from '../store/plain-log.ts'
import { PlainKind, PlainWindow } from '../store/plain-window.ts'
import { recoverPlainLog } from './plain-recovery.ts'
import { FILE_BYTES, PlainWriter } from './plain-writer-fake.ts'

interface Store {
  readonly directory: string
  readonly positions: number[]
  readonly endPosition: number
}

function newDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'plain-recovery-'))
  context.after(() => rmSync(directory, { recursive: true }))
  return directory
}

function write(directory: string, count: number, endPosition = 0): Store {
  const writer = new PlainWriter({ disk: new NodeDisk(), directories: directory, endPosition })
  const positions: number[] = []
  for (let number = 0; number < count; number++) {
    positions.push(writer.append(700))
    writer.turn()
    writer.io.duty()
    writer.turn()
  }
  writer.io.close()
  return { directory, positions, endPosition: writer.core.replica.endPosition }
}

function recover(directory: string): {
  endPosition: number
  firstPosition: number
  lines: string[]
} {
  const lines: string[] = []
  const found = recoverPlainLog(directory, FILE_BYTES, (level, line) => {
    if (level === 'warn') lines.push(line)
  })
  return { ...found, lines }
}

function overwrite(directory: string, position: number, bytes: Buffer): void {
  const path = join(directory, fileNameOfOffset(position - (position % FILE_BYTES)))
  writeSync(openSync(path, 'r+'), bytes, 0, bytes.length, position % FILE_BYTES)
}

function messagesIn(directory: string, endPosition: number): number[] {
  const plain = PlainLog.growing({ directories: directory, endPosition: () => endPosition })
  const window = new PlainWindow(plain)
  const found: number[] = []
  for (let at = 0; at < endPosition; at += window.sizeBytes) {
    window.look(at)
    if (window.kind === PlainKind.MESSAGE) found.push(at)
  }
  plain.close()
  return found
}

test('an empty directory begins at 0', (context) => {
  const { firstPosition, endPosition } = recover(newDirectory(context))
  assert.deepEqual([firstPosition, endPosition], [0, 0])
})

test('it goes on behind the last message, which is found again', (context) => {
  const directory = newDirectory(context)
  const first = write(directory, 30)
  assert.deepEqual(recover(directory), {
    firstPosition: 0,
    endPosition: first.endPosition,
    lines: [],
  })
  const second = write(directory, 30, first.endPosition)
  assert.ok(second.positions[0]! >= first.endPosition)
  assert.deepEqual(messagesIn(directory, second.endPosition), [
    ...first.positions,
    ...second.positions,
  ])
})

test('a torn end is kept aside and zero before new messages stand there', (context) => {
  const directory = newDirectory(context)
  const { positions, endPosition } = write(directory, 5)
  const last = positions.at(-1)!
  overwrite(directory, last + 200, Buffer.alloc(100, 7))
  const { endPosition: end, lines } = recover(directory)
  assert.equal(end, last)
  assert.match(lines[0] ?? '', /behind the last message, at position \d+, lay bytes/)
  const file = readFileSync(join(directory, fileNameOfOffset(0)))
  assert.ok(file.subarray(last).every((byte) => byte === 0))
  const [aside] = readdirSync(join(directory, 'ringledger-aside'))
  assert.equal(aside, `${fileNameOfOffset(last)}.tail`)
  const kept = readFileSync(join(directory, 'ringledger-aside', aside!))
  assert.ok(
    kept.length <= endPosition - last && kept.subarray(200, 300).every((byte) => byte === 7),
  )
  assert.deepEqual(recover(directory), { firstPosition: 0, endPosition: last, lines: [] })
})

test('whole messages behind damage stay', (context) => {
  const directory = newDirectory(context)
  const { positions, endPosition } = write(directory, 30)
  overwrite(directory, positions[20]! + 200, Buffer.alloc(100, 7))
  overwrite(directory, positions.at(-2)! + 4, Buffer.alloc(4))
  assert.equal(recover(directory).endPosition, endPosition)
  const left = positions.filter((_, at) => at !== 20 && at !== positions.length - 2)
  assert.deepEqual(messagesIn(directory, endPosition), left)
})

test('files of another size are refused', (context) => {
  const directory = newDirectory(context)
  write(directory, 3)
  assert.throws(() => recoverPlainLog(directory, 2 * FILE_BYTES, () => {}), { code: 'BAD_CONFIG' })
})

test('positions that were given out are not given out again, whatever is left', (context) => {
  const directory = newDirectory(context)
  write(directory, 30)
  const names = readdirSync(directory).filter((name) => /^\d+$/.test(name))
  const last = Number(names.at(-1))
  for (const name of names) {
    overwrite(directory, Number(name), Buffer.alloc(FILE_BYTES))
  }
  assert.equal(recover(directory).endPosition, last)
})
