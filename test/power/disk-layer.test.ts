/** The disk that loses power does lose it: shown on small programs before brokers stand on it. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import { missingTools } from '../support/external-tools.ts'
import { runCommand } from '../support/run-command.ts'
import { buildDiskLayer, LossyDisk } from './disk-layer.ts'
import { SECTOR_BYTES } from './lost-content.ts'
import type { Loss, PowerLoss } from './power-off.ts'

const PIECE_BYTES = 4096
const PIECES = 16
const SEEDS = 24

/** Names of node:fs and `root` are there; the process kills itself at the end. */
function program(body: string): string {
  return `
    const { openSync, writeSync, writevSync, readSync, readFileSync, writeFileSync, fsyncSync,
      fdatasyncSync, ftruncateSync, renameSync, unlinkSync, mkdirSync, rmSync, closeSync, fstatSync,
    } = require('node:fs')
    const root = process.argv[1]
    const syncDirectory = (path) => {
      const descriptor = openSync(path, 'r')
      fsyncSync(descriptor)
      closeSync(descriptor)
    }
    const pieces = (path, letter) => {
      const descriptor = openSync(path, 'w')
      for (let piece = 0; piece < ${PIECES}; piece++) {
        const bytes = Buffer.alloc(${PIECE_BYTES}, letter)
        writeSync(descriptor, bytes, 0, bytes.length, piece * bytes.length)
      }
      return descriptor
    }
    const end = () => process.kill(process.pid, 'SIGKILL')
    ;(async () => { ${body} })()
  `
}

describe('a disk that loses power', { skip: missingTools('gcc') }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'disk-layer-'))
  const root = join(directory, 'store')
  const file = join(root, 'file')
  let library = ''
  before(async () => {
    library = await buildDiskLayer(directory)
  })
  after(() => rmSync(directory, { recursive: true, force: true }))

  const newDisk = (lies = false): LossyDisk => {
    rmSync(root, { recursive: true, force: true })
    mkdirSync(root)
    return new LossyDisk({ library, root, control: join(directory, 'control'), lies })
  }

  const run = async (disk: LossyDisk, body: string, dieAfter = 0): Promise<void> => {
    const env = { ...process.env, ...disk.environment(dieAfter) }
    const { code, stderr } = await runCommand(process.execPath, ['-e', program(body), root], {
      env,
    })
    assert.equal(code, null, stderr)
  }

  const lose = (disk: LossyDisk, seed: number, more: Pick<PowerLoss, 'kept'> = {}): Loss =>
    disk.cutPower(seededRandom(seed), more)

  test('what was written without a sync is gone, what was synced is there', async () => {
    const disk = newDisk()
    await run(
      disk,
      `const descriptor = pieces(root + '/file', 'a')
       fdatasyncSync(descriptor)
       syncDirectory(root)
       writeSync(descriptor, Buffer.from('changed'), 0, 7, 100)
       writeSync(descriptor, Buffer.from('longer'), 0, 6, ${PIECES * PIECE_BYTES})
       ftruncateSync(descriptor, 50)
       if (readFileSync(root + '/file', 'utf8').length !== 50) throw new Error('not seen')
       end()`,
    )
    assert.equal(readFileSync(file).length, 50)
    assert.ok(lose(disk, 1, { kept: 0 }).sectors > 0)
    assert.deepEqual(readFileSync(file), Buffer.alloc(PIECES * PIECE_BYTES, 'a'))
    assert.deepEqual(lose(disk, 1), { files: 0, sectors: 0, tornSectors: 0, names: 0, lies: 0 })
  })

  test('a durable write is there, and nothing more than what it wrote', async () => {
    const disk = newDisk()
    await run(
      disk,
      `const descriptor = pieces(root + '/file', 'a')
       fsyncSync(descriptor)
       syncDirectory(root)
       const { O_RDWR, O_DIRECT, O_DSYNC } = require('node:fs').constants
       const direct = openSync(root + '/file', O_RDWR | O_DIRECT | O_DSYNC)
       const piece = (letter) => Buffer.alloc(${PIECE_BYTES}, letter)
       writeSync(descriptor, piece('w'), 0, ${PIECE_BYTES}, ${PIECE_BYTES})
       writeSync(descriptor, piece('w'), 0, ${PIECE_BYTES}, 3 * ${PIECE_BYTES})
       writevSync(direct, [piece('b'), piece('c')], 3 * ${PIECE_BYTES})
       writeSync(descriptor, piece('w'), 0, ${PIECE_BYTES}, 4 * ${PIECE_BYTES})
       end()`,
    )
    assert.equal(lose(disk, 1, { kept: 0 }).sectors, (2 * PIECE_BYTES) / SECTOR_BYTES)
    const letters = pieceLetters(readFileSync(file))
    assert.equal(letters, `aaabc${'a'.repeat(PIECES - 5)}`)
  })

  test('a durable write that the kill met may be torn', async () => {
    const found = new Set<string>()
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = newDisk()
      // Its record is the last one: creation, one for each piece, two syncs.
      await run(
        disk,
        `const descriptor = pieces(root + '/file', 'a')
         fsyncSync(descriptor)
         syncDirectory(root)
         const { O_RDWR, O_DSYNC } = require('node:fs').constants
         const direct = openSync(root + '/file', O_RDWR | O_DSYNC)
         writeSync(direct, Buffer.alloc(${PIECE_BYTES}, 'b'), 0, ${PIECE_BYTES}, 0)
         throw new Error('not reached')`,
        PIECES + 5,
      )
      lose(disk, seed)
      for (const letter of sectorsOf(readFileSync(file))) found.add(letter)
    }
    assert.deepEqual([...found].sort(), ['a', 'b'])
  })

  test('what was not synced is torn at sectors, in any order', async () => {
    let [torn, holes, all, none] = [0, 0, 0, 0]
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = newDisk()
      await run(
        disk,
        `const descriptor = pieces(root + '/file', 'a')
         fsyncSync(descriptor)
         syncDirectory(root)
         pieces(root + '/file', 'b')
         end()`,
      )
      lose(disk, seed)
      const sectors = sectorsOf(readFileSync(file))
      assert.ok(/^[ab0]*$/.test(sectors), 'a sector is old, new, or empty: never a mixture')
      if (/^b*$/.test(sectors)) all++
      else if (/^a*$/.test(sectors)) none++
      else torn++
      if (/[a0]b+[a0]/.test(sectors)) holes++
    }
    assert.ok(torn > 0 && holes > 0 && all > 0 && none > 0, `${[torn, holes, all, none]}`)
  })

  test('a version in between may be the one that is left', async () => {
    const found = new Set<string>()
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = newDisk()
      await run(
        disk,
        `const descriptor = openSync(root + '/file', 'w')
         syncDirectory(root)
         for (const letter of 'xyz') writeSync(descriptor, Buffer.alloc(4096, letter), 0, 4096, 0)
         end()`,
      )
      lose(disk, seed)
      for (const sector of sectorsOf(readFileSync(file))) found.add(sector)
    }
    assert.deepEqual([...found].sort(), ['0', 'x', 'y', 'z'])
  })

  test('names that no sync of their directory covered come and go', async () => {
    const found = { made: new Set<boolean>(), removed: new Set<boolean>(), text: new Set<string>() }
    for (let seed = 0; seed < SEEDS; seed++) {
      const disk = newDisk()
      await run(
        disk,
        `writeFileSync(root + '/removed', 'r', { flush: true })
         writeFileSync(root + '/config', 'old', { flush: true })
         mkdirSync(root + '/kept/deep', { recursive: true })
         syncDirectory(root + '/kept')
         syncDirectory(root)
         writeFileSync(root + '/made', 'm', { flush: true })
         writeFileSync(root + '/config.tmp', 'new', { flush: true })
         renameSync(root + '/config.tmp', root + '/config')
         unlinkSync(root + '/removed')
         end()`,
      )
      lose(disk, seed)
      assert.ok(existsSync(join(root, 'kept', 'deep')))
      found.made.add(existsSync(join(root, 'made')))
      found.removed.add(existsSync(join(root, 'removed')))
      found.text.add(readFileSync(join(root, 'config'), 'utf8'))
    }
    assert.equal(found.made.size, 2)
    assert.equal(found.removed.size, 2)
    assert.deepEqual([...found.text].sort(), ['new', 'old'])
  })

  test('asynchronous calls and whole trees go the same way', async () => {
    const disk = newDisk()
    await run(
      disk,
      `const promises = require('node:fs/promises')
       mkdirSync(root + '/a/b/c', { recursive: true })
       await promises.writeFile(root + '/a/b/c/file', 'text')
       await promises.appendFile(root + '/a/b/c/file', ' and more')
       await promises.truncate(root + '/a/b/c/file', 3)
       rmSync(root + '/a/b', { recursive: true })
       end()`,
    )
    assert.ok(existsSync(join(root, 'a')))
    lose(disk, 1, { kept: 0 })
    assert.ok(!existsSync(join(root, 'a')), 'nothing was synced')
  })

  test('a process dies at the call that it is told', async () => {
    const disk = newDisk()
    await run(disk, `for (;;) writeFileSync(root + '/file', 'text')`, 5)
    assert.equal(lose(disk, 1, { kept: 0 }).names, 1)
    assert.ok(!existsSync(file))
  })

  test('a disk that lies loses what it said was synced', async () => {
    const disk = newDisk(true)
    await run(
      disk,
      `const descriptor = pieces(root + '/file', 'a')
       fsyncSync(descriptor)
       syncDirectory(root)
       writeSync(descriptor, Buffer.from('changed'), 0, 7, 0)
       fdatasyncSync(descriptor)
       end()`,
    )
    assert.equal(lose(disk, 1, { kept: 0 }).lies, 1)
    assert.deepEqual(readFileSync(file), Buffer.alloc(PIECES * PIECE_BYTES, 'a'))
  })

  test('each cut is a new boot', async () => {
    const disk = newDisk()
    const ids = new Set<string>()
    for (let boot = 0; boot < 2; boot++) {
      await run(
        disk,
        `const id = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')
         const descriptor = openSync(root + '/id', 'w')
         writeSync(descriptor, id)
         fsyncSync(descriptor)
         syncDirectory(root)
         end()`,
      )
      lose(disk, boot)
      ids.add(readFileSync(join(root, 'id'), 'utf8'))
    }
    assert.equal(ids.size, 2)
  })
})

/** One letter for each piece, which holds no other. */
function pieceLetters(bytes: Buffer): string {
  const sectors = sectorsOf(bytes)
  const share = PIECE_BYTES / SECTOR_BYTES
  const pieces = sectors.match(new RegExp(`.{${share}}`, 'g')) ?? []
  return pieces.map((piece) => (new Set(piece).size === 1 ? piece[0] : '?')).join('')
}

/** One letter for each sector; `0` for zeros, `?` for a mixture. */
function sectorsOf(bytes: Buffer): string {
  let letters = ''
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
    const sector = bytes.subarray(at, at + SECTOR_BYTES)
    const first = sector[0] ?? 0
    const isPure = sector.every((byte) => byte === first)
    letters += !isPure ? '?' : first === 0 ? '0' : String.fromCharCode(first)
  }
  return letters
}
