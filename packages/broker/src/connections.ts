/** The client connections that core has announced, by id. */
export interface ConnectionInfo {
  readonly id: number
  /** `ip:port`. */
  readonly remoteAddress: string
  /** 4 or 16 address bytes and an int32 port, as it goes into a message's born host. */
  readonly remoteHost: Buffer
}

const UNKNOWN_HOST = Buffer.alloc(8)

export class Connections {
  readonly #byId = new Map<number, ConnectionInfo>()

  get size(): number {
    return this.#byId.size
  }

  add(connection: ConnectionInfo): void {
    this.#byId.set(connection.id, connection)
  }

  remove(id: number): void {
    this.#byId.delete(id)
  }

  has(id: number): boolean {
    return this.#byId.has(id)
  }

  addressOf(id: number): string {
    return this.#byId.get(id)?.remoteAddress ?? 'unknown'
  }

  hostOf(id: number): Buffer {
    return this.#byId.get(id)?.remoteHost ?? UNKNOWN_HOST
  }
}
