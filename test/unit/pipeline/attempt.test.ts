import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  acquitted,
  aloneLostMax,
  begin,
  convicted,
  slicesLostMax,
  stageOf,
  survived,
  type Attempt,
} from '../../../src/pipeline/attempt.ts'

/** Owners of a log of 40 records, slices of up to 10; `kills` says which run is lost. Ends at the end of the log. */
function play(kills: (from: number, to: number, run: number) => boolean): {
  readonly lost: number
  readonly quarantine: readonly number[]
  readonly alone: number
} {
  let note: Attempt | null = null
  let [at, lost, alone] = [0, 0, 0]
  const quarantine: number[] = []
  for (let run = 0; at < 40; run++) {
    const before: Attempt | null = note?.alone === true && at >= note.to ? null : note
    const stage = stageOf(before)
    if (stage === 'convicted' && before !== null) {
      quarantine.push(at)
      note = convicted(before, ++at)
      continue
    }
    const end: number = stage === 'alone' ? at + 1 : Math.min(40, at + 10)
    if (stage === 'alone') alone++
    note = begin(before, end)
    if (kills(at, end, run)) lost++
    else note = survived(note, (at = end))
  }
  return { lost, quarantine, alone }
}

const holds = (from: number, to: number, offset: number): boolean => from <= offset && offset < to

describe('the note of an attempt', () => {
  it('is a slice beside others twice, exclusive once, then record by record', () => {
    let note: Attempt | null = null
    const stages: string[] = []
    for (let run = 0; run < slicesLostMax + aloneLostMax; run++) {
      stages.push(stageOf(note))
      note = begin(note, 10)
    }
    expect(stages).toEqual(['together', 'together', 'exclusive', 'alone', 'alone'])
    expect(stageOf(note)).toBe('convicted')
  })

  it('finds each killer in a bounded number of losses, and no other', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(39), { maxLength: 5 }), (killers) => {
        const result = play((from, to) => killers.some((killer) => holds(from, to, killer)))
        expect(result.quarantine).toEqual(killers.toSorted((a, b) => a - b))
        expect(result.lost).toBeLessThanOrEqual(killers.length * (slicesLostMax + aloneLostMax))
      }),
    )
  })

  it('convicts nobody over losses that are not repeated on the same record alone', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(60), { maxLength: 20 }), (runs) => {
        // Lost runs anywhere, but never two in a row once records are alone.
        const result = play((from, to, run) => runs.includes(run) && (to - from > 1 || run % 2 === 0))
        expect(result.quarantine).toEqual([])
      }),
    )
  })

  it('lets a slice that only shared the process with a killer pass whole', () => {
    expect(play((_, __, run) => run < slicesLostMax - 1)).toEqual({ lost: 2, quarantine: [], alone: 0 })
  })

  it('counts convictions in a row, and forgets them with the first record that goes well', () => {
    const note = { to: 10, tries: aloneLostMax, alone: true, convicted: 3 }
    expect(convicted(note, 4)).toEqual({ to: 10, tries: 0, alone: true, convicted: 4 })
    expect(convicted(note, 10)).toEqual({ to: 10, tries: 0, alone: false, convicted: 4 })
    expect(begin(convicted(note, 10), 20)).toEqual({ to: 20, tries: 1, alone: false, convicted: 4 })
    expect(survived(begin(convicted(note, 4), 5), 5)).toEqual({ to: 10, tries: 0, alone: true, convicted: 0 })
  })

  it('lets an acquitted record be tried again, alone', () => {
    expect(stageOf(acquitted({ to: 10, tries: aloneLostMax, alone: true, convicted: 8 }))).toBe('alone')
  })
})
