/*
 * What the commit metadata remembers of work that was begun at an offset and never acknowledged. A process that dies
 * says nothing, so it says before: "I am about to work on [c, to)". Whoever finds that note at the same c knows that
 * an owner was lost over it. Rules and bounds: docs/exactly-once.md, "A record that kills the process".
 */

/** A note at the committed offset c. */
export interface Attempt {
  /** End of the slice that was open: the records in [c, to) are suspects. */
  readonly to: number
  /** Runs begun at c, none of which was acknowledged. */
  readonly tries: number
  /** The suspects are run one by one. */
  readonly alone: boolean
  /** Records quarantined one after another up to here, with none that went well between them. */
  readonly convicted: number
}

/**
 * How the next records are run:
 * `together` as a slice, beside the work of other partitions; `exclusive` as a slice while no other partition works, so that
 * those who only shared a process with a killer get past it; `alone` one record, exclusively; `convicted` not at all.
 */
export type Stage = 'together' | 'exclusive' | 'alone' | 'convicted'

/** Runs of a slice that nobody survived, before its records are run one by one. The last of them is exclusive. */
export const slicesLostMax = 3
/** Runs of one record alone that nobody survived, before it counts as proven. */
export const aloneLostMax = 2
/** Offsets that the metadata of one partition can hold. */
export const quarantineMax = 64
/** Convictions in a row: beyond, the fault is not in the records. */
export const convictedInARowMax = 8

export function stageOf(attempt: Attempt | null): Stage {
  if (attempt === null) return 'together'
  if (attempt.alone) return attempt.tries < aloneLostMax ? 'alone' : 'convicted'
  if (attempt.tries >= slicesLostMax) return 'alone'
  return attempt.tries === slicesLostMax - 1 ? 'exclusive' : 'together'
}

/** The note for one more run; `end`: of the records about to be run. */
export function begin(before: Attempt | null, end: number): Attempt {
  const convicted = before?.convicted ?? 0
  if (stageOf(before) !== 'alone')
    return { to: end, tries: (before?.tries ?? 0) + 1, alone: false, convicted }
  return {
    to: before?.to ?? end,
    tries: before?.alone === true ? before.tries + 1 : 1,
    alone: true,
    convicted,
  }
}

/** What remains of the note when [c, next) is committed with records that went well. */
export function survived(before: Attempt | null, next: number): Attempt | null {
  if (before === null || !before.alone || next >= before.to) return null
  return { to: before.to, tries: 0, alone: true, convicted: 0 }
}

/** What remains of the note when the record below `next` is committed as quarantined. */
export function convicted(before: Attempt, next: number): Attempt {
  return { to: Math.max(before.to, next), tries: 0, alone: next < before.to, convicted: before.convicted + 1 }
}

/** The note when the proof is refused: the record is to be tried again, once the cause is found. */
export function acquitted(before: Attempt): Attempt {
  return { ...before, tries: 0, alone: true }
}

export function sameAttempt(a: Attempt | null, b: Attempt | null): boolean {
  if (a === null || b === null) return a === b
  return a.to === b.to && a.tries === b.tries && a.alone === b.alone && a.convicted === b.convicted
}
