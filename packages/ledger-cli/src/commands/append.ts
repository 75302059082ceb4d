/** `ledger append`: texts, a file, or lines of a stream become entries. */
import { readFileSync } from 'node:fs'
import { LedgerError } from '@ringledger/base'
import type { Command } from 'commander'
import type { LedgerClient } from '../client/ledger-client.ts'
import {
  type AddCommand,
  type ClientOptions,
  type CommandIo,
  count,
  sayFailure,
  withClient,
  withClientOptions,
} from './command.ts'
import { linesOf } from './lines.ts'

interface Options extends ClientOptions {
  readonly data?: string
  readonly count: number
  readonly file?: string
  readonly lines?: boolean
  readonly batch: number
  readonly retryUnsure?: boolean
}

/** More than a frame can carry. */
const MAX_INPUT_BYTES: number = 16 * 1024 * 1024

const EXAMPLES = `
Without a text, standard input is one entry, or with --lines every line of it.

Examples:
  ledger append "hello"
  ledger append -g g1 -p "n0-host1:20911;n1-host2:20911;n2-host3:20911" one two three
  ledger append --file picture.png
  tail -F app.log | ledger append --lines --batch 100

It prints index, term and position of every batch's last entry. A write is sent again only when it
cannot be in the log. Ends with 2 when that is not known: look (ledger tail) before you repeat it.`

export const addAppend: AddCommand = (program, io, ended) => {
  withClientOptions(program.command('append'))
    .description('Append entries; each is committed on a majority before it is reported.')
    .argument('[texts...]', 'one entry each')
    .option('-d, --data <text>', 'one more entry, as DLedger spells it')
    .option('-c, --count <n>', 'append the texts so many times', count(1), 1)
    .option('-f, --file <path>', 'the whole file is one entry')
    .option('--lines', 'every line of --file or of standard input is one entry')
    .option('--batch <n>', 'so many entries together, with no other between them', count(1), 1)
    .option('--retry-unsure', 'repeat also what may be in the log: entries can be there twice')
    .addHelpText('after', EXAMPLES)
    .action(async (texts: string[], options: Options, command: Command) => {
      try {
        const bodies = entriesFrom(texts, options, io)
        await withClient(options, (client) => appendAll(client, bodies, options, io))
      } catch (error) {
        if (error instanceof UsageProblem) command.error(`error: ${error.message}`)
        ended(sayFailure(error, io.stderr, options.json === true))
      }
    })
}

class UsageProblem extends Error {}

function entriesFrom(texts: string[], options: Options, io: CommandIo): AsyncIterable<Buffer> {
  const { data, file, lines } = options
  const all = data === undefined ? texts : [...texts, data]
  if (all.length > 0) {
    if (file !== undefined || lines === true) {
      throw new UsageProblem('give texts, or --file, or --lines, not both')
    }
    return repeated(all, options.count)
  }
  if (options.count > 1) throw new UsageProblem('--count needs a text')
  if (lines === true) return linesOf(file === undefined ? io.stdin : [readFile(file)])
  return whole(file, io)
}

async function* repeated(texts: readonly string[], times: number): AsyncIterable<Buffer> {
  for (let time = 0; time < times; time++) {
    for (const text of texts) yield Buffer.from(text)
  }
}

async function* whole(file: string | undefined, io: CommandIo): AsyncIterable<Buffer> {
  if (file !== undefined) {
    yield readFile(file)
    return
  }
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of io.stdin) {
    chunks.push(chunk)
    sizeBytes += chunk.length
    if (sizeBytes <= MAX_INPUT_BYTES) continue
    const why = `standard input is longer than ${MAX_INPUT_BYTES} bytes, which no entry can hold`
    throw new LedgerError('TOO_LARGE', `${why}; with --lines each line is an entry`)
  }
  yield Buffer.concat(chunks)
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    const { message } = error as Error
    throw new LedgerError('BAD_REQUEST', `--file ${path}: ${message}`, { cause: error })
  }
}

async function appendAll(
  client: LedgerClient,
  bodies: AsyncIterable<Buffer>,
  options: Options,
  io: CommandIo,
): Promise<void> {
  let done = 0
  let batch: Buffer[] = []
  const send = async (): Promise<void> => {
    if (batch.length === 0) return
    try {
      const place = await client.append(batch, { retryUnsure: options.retryUnsure === true })
      done += batch.length
      report({ ...place, count: batch.length }, options, io)
    } catch (error) {
      if (done > 0)
        io.stderr.write(`ledger: ${done} entries are in the log, those after are not reported\n`)
      throw error
    }
    batch = []
  }
  for await (const body of bodies) {
    if (io.signal.aborted) break
    batch.push(body)
    if (batch.length >= options.batch) await send()
  }
  await send()
}

function report(
  place: { index: number; term: number; position: number; count: number },
  options: Options,
  io: CommandIo,
): void {
  const { index, term, position, count: entries } = place
  if (options.json === true) {
    io.stdout.write(`${JSON.stringify({ index, term, position, entries })}\n`)
    return
  }
  const which = entries === 1 ? `index ${index}` : `indexes ${index - entries + 1} to ${index}`
  io.stdout.write(`${which}  term ${term}  position ${position}\n`)
}
