import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { surveyStore } from '@ringledger/upgrade'
import type { CopyState } from './copy.ts'
import { decideOldLog } from './decide.ts'
import { makePlainStore } from './plain-store-fake.ts'

const root = mkdtempSync(join(tmpdir(), 'ringledger-decide-'))
after(() => rmSync(root, { recursive: true }))

describe('what a member does with its copy', () => {
  const copies = new Map<string, CopyState>()
  const ends: number[] = []

  async function survey(name: string): Promise<CopyState> {
    const report = await surveyStore({ root: join(root, name), digestAt: ends, jobs: 1 })
    return { formed: false, report, modifiedMs: {} }
  }

  before(async () => {
    makePlainStore(join(root, 'whole'), { messages: 60 })
    makePlainStore(join(root, 'short'), { messages: 57 })
    makePlainStore(join(root, 'shorter'), { messages: 20 })
    makePlainStore(join(root, 'none'), { messages: 0 })
    makePlainStore(join(root, 'other'), { messages: 60, differsFrom: 30 })
    makePlainStore(join(root, 'hole'), { messages: 60, withoutFile: 1 })
    const names = ['whole', 'short', 'shorter', 'none', 'other', 'hole']
    for (const name of names) ends.push((await survey(name)).report.endOffset)
    for (const name of names) copies.set(name, await survey(name))
  })

  /** Every member's decision, as `kind` and whom it names. */
  function decide(given: Record<string, string>, unheard: string[] = []): Record<string, string> {
    const heard = new Map(
      Object.entries(given).map(([id, name]) => {
        const state = copies.get(name.replace('+', '')) as CopyState
        return [id, { ...state, formed: name.endsWith('+') }]
      }),
    )
    const decided: Record<string, string> = {}
    for (const [id, { formed }] of heard) {
      if (formed) continue
      const decision = decideOldLog(id, heard, unheard)
      const whom =
        decision.kind === 'complete'
          ? decision.sources.join()
          : decision.kind === 'refuse'
            ? `${decision.verdict.kind} ${decision.than}`
            : decision.kind === 'wait'
              ? decision.for.join()
              : ''
      decided[id] = `${decision.kind} ${whom}`.trim()
    }
    return decided
  }

  test('equal copies start, also when nobody has any', () => {
    const start = { n0: 'start', n1: 'start', n2: 'start' }
    assert.deepEqual(decide({ n0: 'whole', n1: 'whole', n2: 'whole' }), start)
    assert.deepEqual(decide({ n0: 'none', n1: 'none', n2: 'none' }), start)
  })

  test('nobody starts before all were heard, unless the group has begun', () => {
    const waits = { n0: 'wait n2', n1: 'wait n2' }
    assert.deepEqual(decide({ n0: 'none', n1: 'none' }, ['n2']), waits)
    assert.deepEqual(decide({ n0: 'whole', n1: 'whole' }, ['n2']), waits)
    assert.deepEqual(decide({ n0: 'whole', n1: 'whole+' }, ['n2']), { n0: 'start' })
    assert.deepEqual(decide({ n0: 'none', n1: 'whole+' }, ['n2']), { n0: 'complete n1' })
  })

  test('an empty copy and one that lacks the end, or a file, get the rest', () => {
    assert.deepEqual(decide({ n0: 'whole', n1: 'short', n2: 'none' }), {
      n0: 'start',
      n1: 'complete n0',
      n2: 'complete n0',
    })
    assert.deepEqual(decide({ n0: 'whole', n1: 'shorter', n2: 'hole' }), {
      n0: 'start',
      n1: 'complete n0',
      n2: 'complete n0',
    })
  })

  test('the group begins on the longest copy that the others are beginnings of', () => {
    assert.deepEqual(decide({ n0: 'short', n1: 'short', n2: 'whole' }), {
      n0: 'complete n2',
      n1: 'complete n2',
      n2: 'start',
    })
  })

  test('one copy that differs from the others refuses, and is no source', () => {
    assert.deepEqual(decide({ n0: 'whole', n1: 'short', n2: 'other' }), {
      n0: 'start',
      n1: 'complete n0',
      n2: 'refuse different n0',
    })
  })

  test('two copies that differ decide nothing: both refuse, the empty third too', () => {
    const decided = decide({ n0: 'whole', n1: 'other', n2: 'none' })
    assert.match(decided.n0!, /^refuse different n1/)
    assert.match(decided.n1!, /^refuse different n0/)
    assert.match(decided.n2!, /^refuse/)
  })

  test('a group that began on less than this copy has is never joined', () => {
    assert.deepEqual(decide({ n0: 'whole', n1: 'short+', n2: 'short+' }), { n0: 'refuse ahead n1' })
    assert.deepEqual(decide({ n0: 'whole', n1: 'none+', n2: 'none+' }), { n0: 'refuse ahead n1' })
  })

  test('files that retention took from the others are no difference', () => {
    assert.deepEqual(decide({ n0: 'whole', n1: 'hole+', n2: 'hole+' }), { n0: 'start' })
  })
})
