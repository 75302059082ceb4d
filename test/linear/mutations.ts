/**
 * Deliberate bugs, to prove that the trial would find them. As a preload of a node's process
 * (`--import`), this changes one line of the shipped source while it is loaded, in its threads too;
 * the environment variable LINEAR_MUTATION says which.
 */
import { registerHooks } from 'node:module'

interface Mutation {
  /** The end of the file's path. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

export const MUTATION_VARIABLE = 'LINEAR_MUTATION'

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  /** A leader answers linear reads without asking a majority whether it still leads. */
  'read-without-round': {
    file: 'engine/src/read-rounds.ts',
    find: '    replica.readIndex(id)\n',
    replace: '    this.onReadIndex(id, replica.committedPosition)\n',
  },
  /** One copy counts as a majority. */
  'commit-by-one': {
    file: 'consensus/src/core/quorum.ts',
    find: 'values[values.length - majorityOf(values.length)]',
    replace: 'values[values.length - 1]',
  },
  /** Appends resolve as soon as they are ordered. */
  'answer-before-commit': {
    file: 'engine/src/request-port.ts',
    find: 'const done = syncBeforeAck ? committed.position : replica.committedPosition',
    replace: 'const done = syncBeforeAck ? replica.endPosition : committed.position',
  },
  /** Votes go to whoever asks, also to a node that lacks what was acknowledged. */
  'vote-for-shorter-log': {
    file: 'consensus/src/core/log-view.ts',
    find: 'if (lastTerm !== this.lastTerm) return lastTerm > this.lastTerm',
    replace: 'if (lastTerm >= 0) return true',
  },
  /** Every refused append says that nothing was written. */
  'refusal-denies-all': {
    file: 'engine/src/ledger-errors.ts',
    find: 'this.mayCommit = mayCommit',
    replace: 'this.mayCommit = mayCommit && false',
  },
}

const name = process.env[MUTATION_VARIABLE]
const mutation = name === undefined ? undefined : MUTATIONS[name]

if (mutation !== undefined) {
  const { file, find, replace } = mutation
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (!url.endsWith(file)) return loaded
      const source = String(loaded.source)
      const parts = source.split(find)
      if (parts.length !== 2) throw new Error(`${file} has no single ${find.trim()}`)
      return { ...loaded, source: parts.join(replace) }
    },
  })
}
