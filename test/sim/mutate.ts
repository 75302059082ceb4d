/**
 * Puts one deliberate bug into the shipped code while it is loaded, in this thread only. Call it
 * before anything of the simulation is imported.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { MUTATIONS, type Mutation } from './mutations.ts'

const ROOT = new URL('../../', import.meta.url)

export function mutationNamed(name: string): Mutation {
  const mutation = MUTATIONS.find((one) => one.name === name)
  if (mutation !== undefined) return mutation
  const known = MUTATIONS.map((one) => one.name).join(', ')
  throw new Error(`there is no mutation "${name}"; there are ${known}`)
}

/** How often the text to be replaced occurs in its file; must be 1. */
export function occurrences({ file, find }: Mutation): number {
  return readFileSync(new URL(file, ROOT), 'utf8').split(find).length - 1
}

export function mutate(mutation: Mutation): void {
  const target = new URL(mutation.file, ROOT).href
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (url !== target) return loaded
      const source = Buffer.from(loaded.source as Uint8Array).toString('utf8')
      const parts = source.split(mutation.find)
      if (parts.length !== 2) throw new Error(`${mutation.name}: its text is not there once`)
      return { ...loaded, source: parts.join(mutation.replace) }
    },
  })
}
