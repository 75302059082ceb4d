/** A client's connection for tests: what would go out is kept, frames are offered by hand. */
import type { Connection } from '@ringledger/network'
import { decodeCommand, encodeHost, type RemotingCommand } from '@ringledger/protocol'

/** Keeps what an outbox would send. */
export class FakeOutbox {
  bytes: Buffer = Buffer.alloc(0)
  used = 0

  claim(sizeBytes: number): number {
    if (this.used + sizeBytes > this.bytes.length) {
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(this.bytes.length + sizeBytes)])
    }
    return this.used
  }

  commit(sizeBytes: number): void {
    this.used += sizeBytes
  }

  write(bytes: Uint8Array): void {
    const at = this.claim(bytes.length)
    this.bytes.set(bytes, at)
    this.commit(bytes.length)
  }

  get frames(): RemotingCommand[] {
    const frames: RemotingCommand[] = []
    for (let at = 0; at < this.used; ) {
      const frameBytes = 4 + this.bytes.readInt32BE(at)
      frames.push(decodeCommand(this.bytes.subarray(at, at + frameBytes)))
      at += frameBytes
    }
    return frames
  }
}

export class FakeConnection {
  readonly id: number
  readonly outbox: FakeOutbox = new FakeOutbox()
  readonly remoteHost: Buffer = encodeHost('10.1.2.3', 4711)
  readonly remoteAddress: string = '10.1.2.3:4711'
  closeReason = ''
  resumed = 0

  constructor(id: number) {
    this.id = id
  }

  get connection(): Connection {
    return this as unknown as Connection
  }

  resume(): void {
    this.resumed += 1
  }

  close(reason: string): void {
    this.closeReason = reason
  }
}
