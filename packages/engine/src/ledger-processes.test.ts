import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePorts } from './group-fake.ts'
import type { LedgerMember, LedgerOptions } from './ledger.ts'
import type { MemberNote, MemberOrder } from './member-process-fake.ts'

const ENTRY = fileURLToPath(new URL('./member-process-fake.ts', import.meta.url))

class Member {
  readonly id: string
  readonly #options: LedgerOptions
  readonly #changed: () => void
  #child: ChildProcess | undefined
  #waiting: ((note: MemberNote) => void) | undefined
  leading = false

  constructor(options: LedgerOptions, changed: () => void) {
    this.id = options.selfId ?? ''
    this.#options = options
    this.#changed = changed
  }

  start(): void {
    const child = fork(ENTRY, [JSON.stringify(this.#options)])
    this.#child = child
    child.on('message', (note: MemberNote) => {
      if (note.kind === 'role') {
        this.leading = note.role === 'leader'
        this.#changed()
        return
      }
      this.#waiting?.(note)
      this.#waiting = undefined
    })
  }

  get runs(): boolean {
    return this.#child !== undefined
  }

  ask(order: MemberOrder): Promise<MemberNote> {
    return new Promise((resolve) => {
      this.#waiting = resolve
      this.#child?.send(order)
    })
  }

  async end(how: 'kill' | 'close'): Promise<number | null> {
    const child = this.#child
    if (child === undefined) return null
    this.#child = undefined
    this.leading = false
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    if (how === 'kill') child.kill('SIGKILL')
    else child.send({ kind: 'close' } satisfies MemberOrder)
    return await ended
  }
}

class Group {
  readonly members: Member[]
  #look: () => void = () => {}

  constructor(directory: string, addresses: readonly LedgerMember[]) {
    this.members = addresses.map(({ id }) => {
      const options = { directory: join(directory, id), selfId: id, members: addresses }
      return new Member({ ...options, minimumFreeBytes: 1 }, () => this.#look())
    })
    for (const member of this.members) member.start()
  }

  /**
   * A member that leads, once it has taken `text`. What was refused is asked again; where that left
   * open whether it is stored, `text` may be there twice, one right behind the other.
   */
  async append(text: string): Promise<Member> {
    for (;;) {
      const leader = await this.#leader()
      const note = await leader.ask({ kind: 'append', text })
      if (note.kind === 'appended') return leader
      assert.ok(note.kind === 'refused')
      leader.leading = false
    }
  }

  async #leader(): Promise<Member> {
    for (;;) {
      const leader = this.members.find((member) => member.runs && member.leading)
      if (leader !== undefined) return leader
      await new Promise<void>((resolve) => {
        this.#look = resolve
      })
    }
  }
}

async function openGroup(t: TestContext): Promise<Group> {
  const directory = mkdtempSync(join(tmpdir(), 'ringledger-processes-'))
  const ports = await freePorts(3)
  const addresses = ports.map((port, at) => ({ id: `n${at}`, host: '127.0.0.1', port }))
  const group = new Group(directory, addresses)
  t.after(async () => {
    await Promise.all(group.members.map((member) => member.end('kill')))
    rmSync(directory, { recursive: true, force: true })
  })
  return group
}

test('three processes: a killed leader takes nothing acknowledged with it', async (t) => {
  const group = await openGroup(t)
  const expected: string[] = []
  for (let round = 0; round < 3; round++) {
    let leader: Member | undefined
    for (let at = 0; at < 20; at++) {
      const text = `${round}-${at}`
      leader = await group.append(text)
      expected.push(text)
    }
    await leader?.end('kill')
    leader?.start()
  }
  const leader = await group.append('last')
  const read = await leader.ask({ kind: 'texts' })
  assert.ok(read.kind === 'texts')
  const once = read.texts.filter((text, at) => text !== read.texts[at - 1])
  assert.deepEqual(once, [...expected, 'last'])
  const codes = await Promise.all(group.members.map((member) => member.end('close')))
  assert.deepEqual(codes, [0, 0, 0])
})
