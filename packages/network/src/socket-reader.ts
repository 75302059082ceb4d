/**
 * Reads a socket into a kept buffer (hot-path rule 10). The one place that knows Node's private
 * field `_handle`: `onread` is ignored for accepted sockets, so their handle moves into a new
 * socket that has it. Owns the fallback: where the self-test finds that this does not work, 'data'
 * events and a copy do the same, slower.
 */
import { type AddressInfo, createServer, Socket } from 'node:net'

/** Where the bytes of a socket go. */
export interface ByteTaker {
  place(): Buffer
  /** Bytes were written to `place`. False stops reading until `resume`. */
  received(sizeBytes: number): boolean
  /** Bytes lie in `chunk`. False stops reading until `resume`. */
  feed(chunk: Buffer): boolean
}

interface WithHandle {
  _handle: unknown
}

const SELF_TEST_TIMEOUT_MS = 2000
let selfTest: Promise<boolean> | undefined

/**
 * Whether accepted sockets can read into our buffers. Tried once per process on a loopback
 * connection.
 */
export function takeoverWorks(): Promise<boolean> {
  selfTest ??= tryTakeover()
  return selfTest
}

/**
 * The socket to use from now on in place of `accepted`, which a server with `pauseOnConnect` gave.
 * Its owner gets errors and close from the answer, never from `accepted`.
 */
export function readAccepted(accepted: Socket, taker: ByteTaker, takeover: boolean): Socket {
  const handle = takeover ? (accepted as unknown as WithHandle)._handle : undefined
  if (!handle) {
    readByEvents(accepted, taker)
    return accepted
  }
  ;(accepted as unknown as WithHandle)._handle = null
  const socket = new Socket({ handle, onread: onread(taker) } as never)
  // Without a handle this closes nothing, and takes the connection off the server's count.
  accepted.destroy()
  return socket
}

/** An unconnected socket for dialling that reads into the taker's place; connect it next. */
export function dialingSocket(taker: ByteTaker): Socket {
  return new Socket({ onread: onread(taker) } as never)
}

function onread(taker: ByteTaker): object {
  return {
    buffer: () => taker.place(),
    callback: (sizeBytes: number) => taker.received(sizeBytes),
  }
}

function readByEvents(socket: Socket, taker: ByteTaker): void {
  socket.on('data', (chunk: Buffer) => {
    if (!taker.feed(chunk)) socket.pause()
  })
  socket.resume()
}

async function tryTakeover(): Promise<boolean> {
  const probe = 'ring'
  return new Promise((resolve) => {
    const server = createServer({ pauseOnConnect: true })
    const client = new Socket()
    let taken: Socket | undefined
    const finish = (works: boolean): void => {
      clearTimeout(timer)
      client.destroy()
      taken?.destroy()
      server.close()
      resolve(works)
    }
    const timer = setTimeout(() => finish(false), SELF_TEST_TIMEOUT_MS)
    const place = Buffer.alloc(probe.length)
    const taker: ByteTaker = {
      place: () => place,
      received: (sizeBytes) => {
        finish(place.toString('latin1', 0, sizeBytes) === probe)
        return true
      },
      feed: () => false,
    }
    server.on('connection', (accepted) => {
      try {
        taken = readAccepted(accepted, taker, true)
        taken.on('error', () => finish(false))
      } catch {
        finish(false)
      }
    })
    server.on('error', () => finish(false))
    client.on('error', () => finish(false))
    server.listen(0, '127.0.0.1', () => {
      client.connect((server.address() as AddressInfo).port, '127.0.0.1', () => client.write(probe))
    })
  })
}
