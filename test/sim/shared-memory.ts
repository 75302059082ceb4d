/** The shared memory that a member's threads would have, used again by the next process and run. */
import { allocateIoPort, type IoPort } from '@ringledger/io'
import { Doorbell, LogArena, type LogArenaShared } from 'sharedarraybuffer-ringbuffer'
import type { SimSettings } from './settings.ts'

/** Words of a ring's control page that begin anew with a process. */
const RING_CONTROL_BYTES = 512
const RING_KEPT_BYTES = 8

/** A new process finds its shared memory empty. */
export function clearShared(arena: LogArenaShared, port: IoPort): void {
  Buffer.from(arena.data).fill(0)
  Buffer.from(arena.control).fill(0)
  for (const ring of [port.commands, port.events]) {
    Buffer.from(ring, RING_KEPT_BYTES, RING_CONTROL_BYTES - RING_KEPT_BYTES).fill(0)
  }
  Buffer.from(port.suspect).fill(0)
  Buffer.from(port.repair).fill(0)
}

/** Shared memory of one member, used again by the next run. */
export class SharedMemory {
  #port: IoPort | undefined
  readonly coreBell: SharedArrayBuffer = Doorbell.allocate()
  readonly #arenas = new Map<number, LogArenaShared>()

  portFor({ maxEntryBytes }: SimSettings): IoPort {
    this.#port ??= allocateIoPort(maxEntryBytes)
    return this.#port
  }

  arena(settings: SimSettings): LogArenaShared {
    const { arenaBytes, maxEntryBytes } = settings
    let arena = this.#arenas.get(arenaBytes)
    if (arena === undefined) {
      arena = LogArena.allocate({ sizeBytes: arenaBytes, maxEntryBytes })
      this.#arenas.set(arenaBytes, arena)
    }
    return arena
  }
}
