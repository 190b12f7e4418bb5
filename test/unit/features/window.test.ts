import { describe, expect, test } from 'vitest'
import { compileFeatures } from '../../../src/features/compile.ts'
import type { WindowEdges } from '../../../src/features/spec.ts'
import { OnePart } from '../../support/feature-row.ts'
import { aggregateFeature, eventAt, featuresSpec } from '../../support/feature-specs.ts'

const t = 1_000
const windowMs = 100

function counting(options: { edges: WindowEdges; delayMs?: number; current?: boolean }): OnePart {
  return new OnePart(compileFeatures(featuresSpec([aggregateFeature({ name: 'n', windowMs, ...options })])))
}

/** Whether an earlier event at `time` is in the window of an event at t. */
function sees(options: { edges: WindowEdges; delayMs?: number }, time: number): boolean {
  const part = counting({ ...options, current: false })
  part.insert(eventAt(time, 0))
  return part.take(eventAt(t, 1))['n'] === 1
}

const kinds: [WindowEdges, { left: boolean; right: boolean }][] = [
  ['(]', { left: false, right: true }],
  ['[)', { left: true, right: false }],
  ['[]', { left: true, right: true }],
  ['()', { left: false, right: false }],
]

describe.each(kinds)('a window with edges %s', (edges, { left, right }) => {
  test(`${left ? 'holds' : 'leaves out'} an event exactly at its left edge`, () => {
    expect(sees({ edges }, t - windowMs)).toBe(left)
    expect(sees({ edges }, t - windowMs - 1)).toBe(false)
    expect(sees({ edges }, t - windowMs + 1)).toBe(true)
  })

  test(`${right ? 'holds' : 'leaves out'} an event exactly at its right edge`, () => {
    expect(sees({ edges }, t)).toBe(right)
    expect(sees({ edges }, t - 1)).toBe(true)
  })

  test('keeps both edges when it is delayed', () => {
    const delayMs = 40
    const delayed = { edges, delayMs }
    expect(sees(delayed, t - delayMs - windowMs)).toBe(left)
    expect(sees(delayed, t - delayMs - windowMs - 1)).toBe(false)
    expect(sees(delayed, t - delayMs)).toBe(right)
    expect(sees(delayed, t - delayMs + 1)).toBe(false)
    expect(sees(delayed, t - delayMs - 1)).toBe(true)
  })

  test(`${right ? 'counts' : 'does not count'} the event itself, and never without current`, () => {
    expect(counting({ edges }).take(eventAt(t, 0))['n']).toBe(right ? 1 : 0)
    expect(counting({ edges, current: false }).take(eventAt(t, 0))['n']).toBe(0)
  })

  test('loses no event that it still holds when the log is trimmed at the horizon', () => {
    const part = counting({ edges, current: false })
    const { horizonMs } = part.features.layouts[0]!
    part.insert(eventAt(t - windowMs - 1, 0), eventAt(t - windowMs, 1), eventAt(t - windowMs + 1, 2))
    const dropped = part.features.trim(part.features.layouts[0]!, part.part, t - horizonMs)
    expect(dropped).toBe(left ? 1 : 2)
    expect(part.take(eventAt(t, 3))['n']).toBe(left ? 2 : 1)
  })
})

test('without current, an earlier event of the same millisecond is still counted', () => {
  const part = counting({ edges: '(]', current: false })
  expect([0, 1, 2].map((offset) => part.take(eventAt(t, offset))['n'])).toEqual([0, 1, 2])
})

test('of events in the same millisecond each sees those before it in the log, and itself', () => {
  const part = counting({ edges: '(]' })
  expect([0, 1, 2].map((offset) => part.take(eventAt(t, offset))['n'])).toEqual([1, 2, 3])
})

test('an event out of order is counted at its own time and sees none of the later ones', () => {
  const part = counting({ edges: '(]' })
  part.insert(eventAt(t - 150, 0), eventAt(t, 1))
  expect(part.take(eventAt(t - 80, 2))['n']).toBe(2)
  expect(part.take(eventAt(t, 3))['n']).toBe(3)
})

test('an event that was not inserted is not counted in its own window, and hides nothing without current', () => {
  const inserted = [eventAt(t - 1, 0), eventAt(t, 1)]
  const skipped = eventAt(t, 2)
  for (const current of [true, false]) {
    const part = counting({ edges: '(]', current })
    part.insert(...inserted)
    expect(part.row(skipped)['n']).toBe(2)
  }
})

test('what a late event sees does not depend on whether trimming ran', () => {
  const features = compileFeatures(featuresSpec([aggregateFeature({ name: 'n', windowMs })]))
  const layout = features.layouts[0]!
  const lateBeforeMs = t
  const counts = [false, true].map((trimmed) => {
    const part = new OnePart(features)
    part.insert(eventAt(t - windowMs - 20, 0), eventAt(t - windowMs + 1, 1), eventAt(t + 500, 2))
    if (trimmed) features.trim(layout, part.part, lateBeforeMs - layout.horizonMs)
    const late = eventAt(t - 30, 3)
    part.insert(late)
    return part.row(late, { lateBeforeMs })['n']
  })
  expect(counts).toEqual([2, 2])
})
