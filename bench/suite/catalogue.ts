/** What can be run: every `<kind>/<name>` has a file of its own below bench/. */
import { readdirSync } from 'node:fs'
import type { MicroBench } from '../micro-bench.ts'
import type { Scenario } from './scenario.ts'

export const KINDS = ['micro', 'scenario', 'peers', 'growth'] as const
export type Kind = (typeof KINDS)[number]

export interface Entry {
  readonly kind: Kind
  /** `scenario/rates`. */
  readonly name: string
  readonly url: string
}

/** Peers need programs of others, and growth takes long: only when they are asked for. */
const BY_DEFAULT: readonly Kind[] = ['micro', 'scenario']

export function catalogue(): Entry[] {
  return KINDS.flatMap((kind) => {
    const directory = new URL(`../${kind}/`, import.meta.url)
    const ending = kind === 'micro' ? '.bench.ts' : '.scenario.ts'
    return readdirSync(directory)
      .filter((file) => file.endsWith(ending))
      .sort()
      .map((file) => ({
        kind,
        name: `${kind}/${file.slice(0, -ending.length)}`,
        url: new URL(file, directory).href,
      }))
  })
}

/**
 * Names are kinds, `<kind>/<name>`, or `<name>` alone after a kind (`scenario rates sizes`).
 * @throws Error that says what there is when one is unknown.
 */
export function choose(entries: readonly Entry[], names: readonly string[]): Entry[] {
  if (names.length === 0) return entries.filter(({ kind }) => BY_DEFAULT.includes(kind))
  const chosen = new Set<Entry>()
  let kind: string | undefined
  for (const [at, name] of names.entries()) {
    if (isKind(name)) {
      kind = name
      const next = names[at + 1]
      const alone = next === undefined || isKind(next) || next.includes('/')
      if (alone) for (const entry of entries) if (entry.kind === kind) chosen.add(entry)
      continue
    }
    chosen.add(find(entries, name, kind))
  }
  return entries.filter((entry) => chosen.has(entry))
}

function find(entries: readonly Entry[], name: string, kind: string | undefined): Entry {
  const whole = name.includes('/') || kind === undefined ? name : `${kind}/${name}`
  const found = entries.find((entry) => entry.name === whole)
  if (found !== undefined) return found
  const there = entries.map((entry) => entry.name).join(', ')
  throw new Error(`there is no benchmark ${whole}; there are ${there}`)
}

export async function titleOf({ kind, url }: Entry): Promise<string> {
  const read = await import(url)
  if (kind === 'micro') return (read as { bench: MicroBench }).bench.title
  return (read as { scenario: Scenario }).scenario.title
}

function isKind(name: string): name is Kind {
  return (KINDS as readonly string[]).includes(name)
}
