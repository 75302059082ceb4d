import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { linesOf } from './lines.ts'

async function texts(chunks: readonly Uint8Array[]): Promise<string[]> {
  const found: string[] = []
  for await (const line of linesOf(chunks)) found.push(line.toString())
  return found
}

test('lines are the same however the bytes arrive', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.stringMatching(/^[a-zäöü ]{0,12}$/), { maxLength: 20 }),
      fc.constantFrom('\n', '\r\n'),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      async (lines, end, sizes) => {
        const bytes = Buffer.from(lines.map((line) => line + end).join(''))
        const chunks: Buffer[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length]!
          chunks.push(bytes.subarray(at, at + size))
          at += size
        }
        assert.deepEqual(await texts(chunks), lines)
      },
    ),
  )
})

test('a last line without an end counts, an empty stream has none', async () => {
  assert.deepEqual(await texts([Buffer.from('a\n\nb')]), ['a', '', 'b'])
  assert.deepEqual(await texts([]), [])
})

test('a line without end is refused before it fills the memory', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 0x61)
  await assert.rejects(texts(Array.from({ length: 20 }, () => chunk)), {
    code: 'TOO_LARGE',
    message: /line 1 is longer/,
  })
})
