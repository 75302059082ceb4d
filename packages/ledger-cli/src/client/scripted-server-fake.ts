/** A member that answers as a test tells it, or not at all. */
import { RemotingListener } from '@ringledger/network'
import { decodeCommand, encodeCommand, RESPONSE_FLAG } from '@ringledger/protocol'
import type { MemberAddress } from '../peers.ts'
import { type Body, readBody, writeBody } from '../wire/body.ts'

/** The body of an answer; `silent` gives none, `hang up` ends the connection. */
export type Script = (code: number, request: Body) => Body | 'silent' | 'hang up'

export class ScriptedServer {
  readonly id: string
  /** Codes of the requests that came. */
  readonly asked: number[] = []
  script: Script
  readonly #listener: RemotingListener

  constructor(id: string, script: Script) {
    this.id = id
    this.script = script
    this.#listener = new RemotingListener(
      {
        onFrame: (connection, buffer, start, end) => {
          const { code, opaque, body } = decodeCommand(Buffer.from(buffer.subarray(start, end)))
          this.asked.push(code)
          const answer = this.script(code, readBody(body, 'a request'))
          if (answer === 'hang up') connection.close('hang up')
          if (typeof answer === 'string') return
          const frame = { code: 200, opaque, flag: RESPONSE_FLAG, body: writeBody(answer) }
          connection.outbox.write(encodeCommand(frame))
        },
      },
      { host: '127.0.0.1', port: 0 },
    )
  }

  get address(): MemberAddress {
    return { id: this.id, host: '127.0.0.1', port: this.#listener.port }
  }

  async listen(): Promise<void> {
    await this.#listener.listen()
  }

  async close(): Promise<void> {
    await this.#listener.close()
  }
}
