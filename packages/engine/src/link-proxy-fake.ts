/** A TCP connection that tests can cut: passes bytes on to a port until then. */
import { createConnection, createServer, type Server, type Socket } from 'node:net'

export class LinkProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #cut = false

  private constructor(targetPort: number) {
    this.#server = createServer((socket) => {
      const other = createConnection(targetPort, '127.0.0.1')
      this.#join(socket, other)
      this.#join(other, socket)
      if (this.#cut) socket.destroy()
    })
  }

  static open(targetPort: number): Promise<LinkProxy> {
    const proxy = new LinkProxy(targetPort)
    return new Promise((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', () => resolve(proxy))
    })
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** Nothing passes any more, until `heal`. */
  cut(): void {
    this.#cut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  heal(): void {
    this.#cut = false
  }

  close(): Promise<void> {
    this.cut()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }

  #join(from: Socket, to: Socket): void {
    this.#sockets.add(from)
    from.on('error', () => {})
    from.on('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
    from.pipe(to)
  }
}
