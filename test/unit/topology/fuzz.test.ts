import fc from 'fast-check'
import { stringify } from 'yaml'
import { expect, test } from 'vitest'
import { parseTopology } from '../../../src/topology/load.ts'
import { TopologyError } from '../../../src/topology/problem.ts'
import { file, topology } from './written.ts'

/** Loads it, or says why not in places that exist. */
function expectSurvival(text: string): void {
  try {
    parseTopology(text, file, { HOME: '/' }, { model: 'optional' })
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error
    expect(error.problems.length).toBeGreaterThan(0)
    const lines = text.split('\n')
    for (const { line, column, message } of error.problems) {
      expect(line).toBeGreaterThanOrEqual(1)
      expect(line).toBeLessThanOrEqual(lines.length)
      expect(column).toBeGreaterThanOrEqual(1)
      expect(message).not.toBe('')
    }
  }
}

test('no text makes the loader fail in another way than by listing problems', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), expectSurvival))
})

const spice = fc.constantFrom(
  '${env:',
  '}',
  '{',
  '[',
  ']',
  ':',
  '- ',
  '\t',
  '"',
  "'",
  '&a ',
  '*a',
  '!',
  '|\n',
  '>-\n',
  '#',
  '\n',
  '__proto__: 1',
  '<<: ',
  '? ',
  '\u0000',
  '💥',
  '%',
  '---\n',
)

test('no cut, repetition or stray character in a good topology does either', () => {
  const good = topology()
  const place = fc.nat({ max: good.length })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(place, fc.nat({ max: 40 }), spice), { minLength: 1, maxLength: 4 }),
      (edits) => {
        expectSurvival(
          edits.reduce((text, [at, cut, insert]) => text.slice(0, at) + insert + text.slice(at + cut), good),
        )
      },
    ),
    { numRuns: 60 },
  )
})

const sections = fc.constantFrom(
  'version',
  'name',
  'kafka',
  'registry',
  'sources',
  'entities',
  'values',
  'features',
  'model',
  'batch',
  'decide',
  'sinks',
  'store',
  'limits',
)
const words = fc.constantFrom(
  'a',
  'customer',
  'count',
  '1d',
  '1MB',
  'ratio',
  'of',
  'window',
  'over',
  'json',
  'avro',
  'role',
  'score',
  '',
  'constructor',
  '{window}',
  'amountCents > 3',
  'x.y',
)

test('no value of the right or the wrong kind in any section does either', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      words,
      fc.constantFrom(null, true, 0, -1, 1.5, 1e300),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(words, tie('any'), { maxKeys: 4 }),
    ),
  })).any
  fc.assert(
    fc.property(fc.dictionary(sections, value, { maxKeys: 6 }), (written) =>
      expectSurvival(stringify(written)),
    ),
    { numRuns: 300 },
  )
})

test('values nested a thousand levels deep and aliases that multiply are refused, not followed', () => {
  expectSurvival(`${'['.repeat(1000)}${']'.repeat(1000)}`)
  expectSurvival(
    'a: &a [x, x, x, x, x, x, x, x, x, x]\n' +
      Array.from(
        { length: 8 },
        (_, i) => `${'bcdefghi'[i]}: &${'bcdefghi'[i]} [${Array(10).fill(`*${'abcdefgh'[i]}`).join(', ')}]\n`,
      ).join(''),
  )
  expectSurvival('a: &a [*a]\n')
})
