import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { LedgerError } from '@ringledger/base'
import type { MemberAddress } from '../peers.ts'
import type { Body } from '../wire/body.ts'
import { DledgerRequest } from '../wire/codes.ts'
import { LedgerClient, type LedgerClientOptions } from './ledger-client.ts'
import { type Script, ScriptedServer } from './scripted-server-fake.ts'

const { METADATA, APPEND, GET } = DledgerRequest
const STORED: Body = { code: 200, index: 7, pos: 700, term: 3 }

async function server(context: TestContext, id: string, script: Script): Promise<ScriptedServer> {
  const made = new ScriptedServer(id, script)
  await made.listen()
  context.after(() => made.close())
  return made
}

function clientOf(
  context: TestContext,
  members: readonly MemberAddress[],
  options: Partial<LedgerClientOptions> = {},
): LedgerClient {
  const client = new LedgerClient({ members, group: 'g', deadlineMs: 5_000, ...options })
  context.after(() => client.close())
  return client
}

/** METADATA that names `leaderId`; anything else is answered by `append`. */
function scriptOf(leaderId: () => string | undefined, append: Script): Script {
  return (code, request) => {
    return code === METADATA ? { code: 200, leaderId: leaderId() } : append(code, request)
  }
}

async function failure(work: Promise<unknown>): Promise<LedgerError> {
  const error = await work.then(
    () => assert.fail('it did not fail'),
    (reason: unknown) => reason,
  )
  return error as LedgerError
}

test('a write goes to the member that leads, however often that changes', async (context) => {
  let leader = 'n0'
  const refuse = (to: string): Body => ({ code: 404, leaderId: to, mayCommit: false })
  const answer = (id: string) => (): Body => {
    if (leader === id) return STORED
    return refuse(leader)
  }
  const n0 = await server(
    context,
    'n0',
    scriptOf(() => 'n0', answer('n0')),
  )
  const n1 = await server(
    context,
    'n1',
    scriptOf(() => 'n1', answer('n1')),
  )
  const client = clientOf(context, [n0.address, n1.address])
  assert.deepEqual(await client.append([Buffer.from('x')]), { index: 7, term: 3, position: 700 })
  leader = 'n1'
  await client.append([Buffer.from('x')])
  assert.deepEqual(n0.asked, [METADATA, APPEND, APPEND])
  assert.deepEqual(n1.asked, [APPEND])
})

test('members that nobody named are learned from the others', async (context) => {
  const n1 = await server(
    context,
    'n1',
    scriptOf(
      () => 'n1',
      () => STORED,
    ),
  )
  const { host, port } = n1.address
  const n0 = await server(context, 'n0', () => {
    return { code: 200, leaderId: 'n1', peers: { n1: `${host}:${port}` } }
  })
  const client = clientOf(context, [{ ...n0.address, id: '' }])
  await client.append([Buffer.from('x')])
  assert.deepEqual(n1.asked, [APPEND])
})

test('what cannot be in the log is sent again', async (context) => {
  const codes = [505, 503, 506, 415, 404]
  const n0 = await server(
    context,
    'n0',
    scriptOf(
      () => 'n0',
      () => {
        const code = codes.shift()
        return code === undefined ? STORED : { code, mayCommit: false, leaderId: 'n0' }
      },
    ),
  )
  await clientOf(context, [n0.address]).append([Buffer.from('x')])
  assert.equal(n0.asked.filter((code) => code === APPEND).length, 6)
})

test('a read of an entry that is being repaired is tried again, a write is not', async (context) => {
  const answers: Body[] = [{ code: 500 }]
  const entries = [{ index: 0, term: 1, pos: 0, body: '' }]
  const script = scriptOf(
    () => 'n0',
    () => answers.shift() ?? { code: 200, entries },
  )
  const n0 = await server(context, 'n0', script)
  const client = clientOf(context, [n0.address])
  assert.equal((await client.get(0))?.index, 0)
  answers.push({ code: 500, mayCommit: false })
  assert.match((await failure(client.append([Buffer.from('x')]))).message, /INTERNAL_ERROR/)
})

test('what may be in the log is not sent again, unless the caller says so', async (context) => {
  const unsure: (Body | 'hang up')[] = [
    { code: 501, mayCommit: true },
    { code: 502 },
    { code: 414, mayCommit: true },
    'hang up',
  ]
  for (const answer of unsure) {
    const answers: (Body | 'hang up')[] = [answer]
    const script = scriptOf(
      () => 'n0',
      () => answers.shift() ?? STORED,
    )
    const n0 = await server(context, 'n0', script)
    const client = clientOf(context, [n0.address])
    const error = await failure(client.append([Buffer.from('x')]))
    assert.equal(error.mayStillCommit, true, JSON.stringify(answer))
    assert.equal(n0.asked.filter((code) => code === APPEND).length, 1)
    answers.push(answer)
    await client.append([Buffer.from('x')], { retryUnsure: true })
    assert.equal(n0.asked.filter((code) => code === APPEND).length, 3)
  }
})

test('a member that never answers leaves a write unsure, and a read not', async (context) => {
  const n0 = await server(
    context,
    'n0',
    scriptOf(
      () => 'n0',
      () => 'silent',
    ),
  )
  const client = clientOf(context, [n0.address], { requestTimeoutMs: 50, deadlineMs: 200 })
  assert.equal((await failure(client.append([Buffer.from('x')]))).mayStillCommit, true)
  assert.equal((await failure(client.get(0))).mayStillCommit, false)
})

test('an unsure attempt is not forgotten when a later one is refused', async (context) => {
  const answers: Body[] = [{ code: 501, mayCommit: true }]
  const script = scriptOf(
    () => 'n0',
    () => answers.shift() ?? { code: 411, mayCommit: false },
  )
  const n0 = await server(context, 'n0', script)
  const client = clientOf(context, [n0.address])
  const error = await failure(client.append([Buffer.from('x')], { retryUnsure: true }))
  assert.equal(error.mayStillCommit, true)
  assert.match(error.message, /UNEXPECTED_ARGUMENT \(411\).*and before: .*TERM_CHANGED \(501\)/)
})

test('without a leader it says what each member answered', async (context) => {
  const n0 = await server(context, 'n0', () => ({ code: 200 }))
  const gone = await server(context, 'n1', () => 'silent')
  const { address } = gone
  await gone.close()
  const client = clientOf(context, [n0.address, address], { deadlineMs: 100 })
  const error = await failure(client.append([Buffer.from('x')]))
  assert.equal(error.mayStillCommit, false)
  assert.match(error.message, /no leader was found: 127.*knows none.*n1: no connection/)
})

test('another group is said at once, not looked for again', async (context) => {
  const n0 = await server(context, 'n0', () => ({ code: 400, mayCommit: false }))
  const error = await failure(clientOf(context, [n0.address]).append([Buffer.from('x')]))
  assert.match(error.message, /n0 answered UNKNOWN_GROUP \(400\)/)
  assert.deepEqual(n0.asked, [METADATA])
})

test('an answer that makes no sense is an error, not an entry', async (context) => {
  const entries = [{ index: 'x', term: 1, pos: 0, body: '' }]
  const n0 = await server(
    context,
    'n0',
    scriptOf(
      () => 'n0',
      (code) => (code === GET ? { code: 200, entries } : { code: 200 }),
    ),
  )
  const client = clientOf(context, [n0.address])
  assert.equal((await failure(client.get(0))).code, 'BAD_REQUEST')
  const write = await failure(client.append([Buffer.from('x')]))
  assert.match(write.message, /index is missing/)
})

test('closing ends what waits, and nothing is asked afterwards', async (context) => {
  const asked = Promise.withResolvers<void>()
  const script = scriptOf(
    () => 'n0',
    () => {
      asked.resolve()
      return 'silent'
    },
  )
  const n0 = await server(context, 'n0', script)
  const client = clientOf(context, [n0.address])
  const reading = failure(client.read(0, 1, 30_000))
  await asked.promise
  await client.close()
  assert.equal((await reading).code, 'CLOSED')
  assert.deepEqual(n0.asked, [METADATA, GET])
})

test('a member that is known by an address alone is shown once', async (context) => {
  const n0 = await server(context, 'n0', () => {
    const peers = { n0: `localhost:${n0.address.port}` }
    return { code: 200, leaderId: 'n0', peers, status: { selfId: 'n0', serving: true } }
  })
  const client = clientOf(context, [{ ...n0.address, id: '' }])
  const reports = await client.members()
  assert.deepEqual(
    reports.map(({ id }) => id),
    ['n0'],
  )
})
