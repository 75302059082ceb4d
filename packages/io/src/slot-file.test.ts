/** A rotten copy and a torn write in one life of a node. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@ringledger/base'
import { FakeDisk } from './disk-fake.ts'
import { SlotFile, SlotFileState } from './slot-file.ts'

const PATH = '/store/slots'
const MAGIC = 0x54_45_53_54
const SLOT_DISTANCE = 4096
const PAYLOAD_AT = 24

class PowerLost extends Error {}

/** A disk with a record of two whole copies, and the file as a process that wrote it has it. */
function written(seed: number): { disk: FakeDisk; slots: SlotFile } {
  const disk = new FakeDisk(seededRandom(seed))
  disk.makeDirectory('/store')
  const slots = new SlotFile(disk, PATH, MAGIC)
  slots.create(Buffer.from('first'), '/store')
  return { disk, slots }
}

function readAgain(disk: FakeDisk): string {
  const { state, payload } = new SlotFile(disk, PATH, MAGIC).read()
  assert.equal(state, SlotFileState.VALID)
  return payload.toString()
}

for (const write of ['writeBoth', 'writeLazily'] as const) {
  test(`${write} over one rotten copy leaves a valid one at every loss of power`, () => {
    for (let seed = 0; seed < 200; seed++) {
      const { disk, slots } = written(seed)
      disk.flipBit(PATH, (seed % 2) * SLOT_DISTANCE + PAYLOAD_AT, seed % 8)
      let changes = 0
      const powerLossAt = Math.floor(seed / 16) % 5
      disk.beforeChange = () => {
        if (changes++ === powerLossAt) throw new PowerLost()
      }
      try {
        slots[write](Buffer.from('second'))
      } catch (error) {
        assert.ok(error instanceof PowerLost)
      }
      disk.beforeChange = () => {}
      disk.crash()
      assert.match(readAgain(disk), /^(first|second)$/)
    }
  })
}
