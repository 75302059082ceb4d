/**
 * A counter whose history does not grow for ever: every so often its state is saved as a snapshot,
 * and the log below is dropped. A restart reads the snapshot and the entries behind it.
 * `node counter.ts --help`.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Ledger, openLedger } from '@ringledger/engine'

const SNAPSHOT_EVERY = 1_000

interface Snapshot {
  /** Everything up to this index is in `value`. */
  readonly index: number
  readonly value: number
}

class Counter {
  readonly #ledger: Ledger
  readonly #path: string
  #value = 0
  #appliedIndex = -1
  #snapshotIndex = -1

  private constructor(ledger: Ledger, directory: string) {
    this.#ledger = ledger
    this.#path = join(directory, 'counter-snapshot.json')
  }

  static async open(directory: string): Promise<Counter> {
    // Small files, so that dropping some of them shows.
    const ledger = await openLedger({ directory, segmentBytes: 64 * 1024, maxEntryBytes: 4096 })
    const counter = new Counter(ledger, directory)
    counter.#load()
    // What was committed before this start, the entry that opens this term included.
    const end = await ledger.readIndex()
    await counter.#applyUntil(end.index)
    return counter
  }

  get value(): number {
    return this.#value
  }

  /** Where the log begins on disk. */
  get firstIndex(): number {
    return this.#ledger.status().first.index
  }

  async add(amounts: readonly number[]): Promise<void> {
    const places = await this.#ledger.appendBatch(amounts.map((n) => Buffer.from(String(n))))
    await this.#applyUntil(places.at(-1)?.index ?? -1)
    if (this.#appliedIndex - this.#snapshotIndex >= SNAPSHOT_EVERY) await this.#snapshot()
  }

  close(): Promise<void> {
    return this.#ledger.close()
  }

  async #applyUntil(index: number): Promise<void> {
    const from = { index: this.#appliedIndex + 1 }
    for await (const entry of this.#ledger.read(from, { untilIndex: index })) {
      this.#value += Number(Buffer.from(entry.body).toString('utf8'))
    }
    this.#appliedIndex = Math.max(this.#appliedIndex, index)
  }

  /** The snapshot is on disk, whole and under its name, before the log below it is dropped. */
  async #snapshot(): Promise<void> {
    const snapshot: Snapshot = { index: this.#appliedIndex, value: this.#value }
    const temporary = `${this.#path}.tmp`
    const file = openSync(temporary, 'w')
    writeSync(file, JSON.stringify(snapshot))
    fsyncSync(file)
    closeSync(file)
    renameSync(temporary, this.#path)
    const directory = openSync(dirname(this.#path), 'r')
    fsyncSync(directory)
    closeSync(directory)
    this.#snapshotIndex = snapshot.index
    const { firstIndex } = await this.#ledger.trimPrefix(snapshot.index)
    console.log(`  snapshot of index ${snapshot.index}; the log begins at index ${firstIndex} now`)
  }

  #load(): void {
    if (!existsSync(this.#path)) return
    const snapshot = JSON.parse(readFileSync(this.#path, 'utf8')) as Snapshot
    this.#value = snapshot.value
    this.#appliedIndex = snapshot.index
    this.#snapshotIndex = snapshot.index
    console.log(`  loaded the snapshot of index ${snapshot.index}: ${snapshot.value}`)
  }
}

const { values } = parseArgs({
  options: { help: { type: 'boolean', short: 'h' }, directory: { type: 'string', short: 'd' } },
})
if (values.help) {
  console.log(`Usage: node counter.ts [--directory <directory>]

Counts up, saves snapshots, drops the log below them, and starts again from the last one.
  -d, --directory  where log and snapshot lie; kept, so that the next call goes on (default: a
                   temporary one, removed)`)
} else {
  const directory = values.directory ?? mkdtempSync(join(tmpdir(), 'counter-'))
  try {
    await run(directory)
  } finally {
    if (values.directory === undefined) rmSync(directory, { recursive: true, force: true })
  }
}

async function run(directory: string): Promise<void> {
  const counter = await Counter.open(directory)
  console.log(`starts at ${counter.value}`)
  const before = counter.value
  const hundred = Array.from({ length: 100 }, () => 1)
  for (let round = 0; round < 45; round++) await counter.add(hundred)
  console.log(`counted to ${counter.value}`)
  await counter.close()

  const again = await Counter.open(directory)
  console.log(`after a restart: ${again.value}, with a log from index ${again.firstIndex} on`)
  if (again.value !== before + 4_500) throw new Error('the counter lost something')
  await again.close()
}
