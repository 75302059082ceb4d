import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogArena, SpscRing } from 'sharedarraybuffer-ringbuffer'
import { IoClient } from './io-client.ts'
import { allocateIoPort, IoCommand } from './io-port.ts'

const HANDLERS = {
  onDurable: () => {},
  onTruncated: () => {},
  onHardStateSaved: () => {},
  onFailed: () => {},
  onDiskFull: () => {},
  onDiskOk: () => {},
}

test('behind a disk that hangs checkpoints do not pile up, and CLOSE leaves when there is room', () => {
  const port = allocateIoPort()
  const client = new IoClient(
    port,
    new LogArena(LogArena.allocate({ sizeBytes: 65_536, maxEntryBytes: 4096 })),
  )
  for (let id = 1; !client.waits; id++) client.saveHardState({ term: id, votedFor: 'n0' }, id)
  for (let position = 1; position < 10_000; position++) client.checkpoint(position, position)
  client.close()
  client.flush()
  assert.equal(client.waits, true)
  const commands = new SpscRing(port.commands)
  const seen: number[] = []
  commands.drain((type) => {
    seen.push(type)
  })
  // The owner's next turn.
  client.poll(HANDLERS)
  assert.equal(client.waits, false)
  commands.drain((type) => {
    seen.push(type)
  })
  assert.equal(seen.at(-1), IoCommand.CLOSE)
  assert.equal(seen.includes(IoCommand.CHECKPOINT), false)
})
