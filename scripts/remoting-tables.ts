/**
 * The tables of docs/protocol/remoting.md, made from the handlers themselves, so that the document
 * cannot claim a request that nobody answers. `npm run docs` writes them, test/house compares.
 */
import type { BrokerContext } from '../packages/broker/src/context.ts'
import { handlerOf } from '../packages/broker/src/handlers/registry.ts'
import { RequestError } from '../packages/broker/src/request.ts'
import { handlers as nameServerHandlers } from '../packages/name-server/src/handlers/index.ts'
import {
  encodeCommand,
  FRAME_HEADER_AT,
  frameHeaderBytes,
  RequestCode,
  ResponseCode,
  SendHeader,
  scanSendHeader,
} from '../packages/protocol/src/index.ts'

const HIGHEST_CODE = 250_000
const COLUMNS = 110
/** Handlers that only say why not; what they answer is asked of them. */
const REFUSING: readonly number[] = [RequestCode.RECALL_MESSAGE, RequestCode.GET_BROKER_HA_STATUS]
const NOTES: ReadonlyMap<number, string> = new Map<number, string>([
  [RequestCode.UPDATE_BROKER_CONFIG, 'some keys, until the next start'],
  [
    RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE,
    'deletes files at the node that is asked; next offsets stay',
  ],
  [RequestCode.CLEAN_UNUSED_TOPIC, 'success: there is nothing to clean'],
  [RequestCode.DELETE_EXPIRED_COMMITLOG, 'at the node that is asked'],
  [RequestCode.GET_CONSUMER_RUNNING_INFO, 'passed on to the client'],
  [RequestCode.CONSUME_MESSAGE_DIRECTLY, 'passed on to the client'],
  [RequestCode.CONTROLLER_ELECT_MASTER, 'at the leader; hands leadership to a follower'],
  [RequestCode.CONTROLLER_GET_METADATA_INFO, 'at the leader; names itself as the controller'],
  [RequestCode.SET_MESSAGE_REQUEST_MODE, 'mode PULL; 3 for another'],
])
const BEGIN = (name: string) => `<!-- ${name}: made by npm run docs -->\n`
const END = (name: string) => `<!-- end of ${name} -->`

const nameOf = new Map<number, string>(
  Object.entries(RequestCode).map(([name, code]) => [code, name]),
)

/** The document with its tables brought up to date. @throws Error when it lacks a place for one. */
export function withTables(document: string): string {
  let text = document
  for (const [name, table] of Object.entries(tables())) {
    const start = text.indexOf(BEGIN(name))
    const end = text.indexOf(END(name))
    if (start < 0 || end < start) throw new Error(`the document has no place for "${name}"`)
    text = `${text.slice(0, start)}${BEGIN(name)}${table}${text.slice(end)}`
  }
  return text
}

function tables(): Record<string, string> {
  const byBroker = codesOf((code) => handlerOf(code) !== undefined)
  const byNameServer = codesOf((code) => nameServerHandlers.has(code))
  const answered = new Set([...byBroker, ...byNameServer])
  const unanswered = [...nameOf.keys()].filter((code) => !answered.has(code)).sort(ascending)
  return {
    broker: table(
      ['code', 'name', 'thread', 'note'],
      byBroker.map((code) => [String(code), named(code), threadOf(code), noteOf(code)]),
    ),
    'name server': table(
      ['code', 'name'],
      byNameServer.map((code) => [String(code), named(code)]),
    ),
    unanswered: wrapped(unanswered.map((code) => `${code} ${named(code)}`)),
  }
}

function codesOf(isAnswered: (code: number) => boolean): number[] {
  const codes: number[] = []
  for (let code = 0; code <= HIGHEST_CODE; code++) if (isAnswered(code)) codes.push(code)
  return codes
}

function ascending(left: number, right: number): number {
  return left - right
}

function named(code: number): string {
  return `\`${nameOf.get(code) ?? 'no name of ours'}\``
}

function noteOf(code: number): string {
  if (!REFUSING.includes(code)) return NOTES.get(code) ?? ''
  const answer = refusalOf(code)
  const name = Object.entries(ResponseCode).find(([, value]) => value === answer)?.[0]
  return `always ${answer} \`${name}\``
}

/** The code that a handler throws whatever it is asked. @throws Error when it answers now. */
function refusalOf(code: number): number {
  const ticket = { connectionId: 1, opaque: 1, oneWay: false, code }
  const request = { ticket, code, version: 0, language: 'JAVA', ext: {}, body: Buffer.alloc(0) }
  const role = { role: 'follower', term: 1, leaderId: 'n0' }
  try {
    handlerOf(code)?.(request, { role } as unknown as BrokerContext)
  } catch (error) {
    if (error instanceof RequestError) return error.code
    throw error
  }
  throw new Error(`${code} does not refuse every request any more`)
}

/** Asks the scanner of the core thread's fast path itself. */
function threadOf(code: number): string {
  const long = code === RequestCode.SEND_MESSAGE
  const values = ['Producer', 'Topic', 'TBW102', '4', '0', '0', '1700000000000', '0', '', '0']
  const longNames =
    'producerGroup topic defaultTopic defaultTopicQueueNums queueId sysFlag bornTimestamp flag properties reconsumeTimes'
  const names = (long ? longNames : 'a b c d e f g h i j').split(' ')
  const ext = Object.fromEntries(names.map((name, at) => [name, values[at] ?? '']))
  const frame = encodeCommand({ code, opaque: 1, flag: 0, ext })
  const header = new SendHeader()
  const scanned = scanSendHeader(frame, FRAME_HEADER_AT, frameHeaderBytes(frame, 0), header)
  return scanned && !header.batch ? 'core if plain, else broker' : 'broker'
}

/** Joined by commas, in lines of at most {@link COLUMNS}. */
function wrapped(words: readonly string[]): string {
  const lines: string[] = ['']
  for (const [at, word] of words.entries()) {
    const piece = at < words.length - 1 ? `${word}, ` : word
    if (lines.at(-1)!.length + piece.length > COLUMNS) lines.push('')
    lines[lines.length - 1] += piece
  }
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  return `${lines.join('\n')}\n`
}
