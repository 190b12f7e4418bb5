/** How many records were looked at last, and how many of them became dead letters. */
export interface DeadLetterCounts {
  readonly records: number
  readonly dead: number
}

/** Watches the share of dead letters among the last `of` records. Pure but for what it remembers. */
export interface DeadLetterShare {
  /** Counts a slice; returns the share when it exceeds the bound, else null. */
  add(records: number, deadLetters: number): number | null
  /** What the next owner begins with: the window outlives ownerships, or each could make `of` − 1 dead letters unseen. */
  readonly counts: DeadLetterCounts
}

export const nothingCounted: DeadLetterCounts = { records: 0, dead: 0 }

/** `before`: as earlier owners left it. */
export function createDeadLetterShare(
  bound: { readonly share: number; readonly of: number },
  before: DeadLetterCounts = nothingCounted,
): DeadLetterShare {
  const slices: DeadLetterCounts[] = carriedSlices(before, bound.of)
  let records = sum(slices, (slice) => slice.records)
  let dead = sum(slices, (slice) => slice.dead)
  return {
    add(newRecords, newDead) {
      slices.push({ records: newRecords, dead: newDead })
      records += newRecords
      dead += newDead
      for (let oldest = slices[0]; oldest && records - oldest.records >= bound.of; oldest = slices[0]) {
        records -= oldest.records
        dead -= oldest.dead
        slices.shift()
      }
      const full = records >= bound.of
      return full && dead / records > bound.share ? dead / records : null
    },
    get counts() {
      return { records, dead }
    },
  }
}

/** Fine enough that a window of several ownerships forgets about as one of a single one does. */
const carriedSlicesMax = 10

/**
 * Two numbers do not tell where in the window the dead letters were: as if spread evenly, the odd ones first. So an ownership
 * forgets at most one of them too early, and none for ever too late.
 */
function carriedSlices(before: DeadLetterCounts, of: number): DeadLetterCounts[] {
  // After a slice larger than the window, or with a smaller window than before.
  const scale = before.records > 2 * of ? of / before.records : 1
  const records = Math.round(before.records * scale)
  const dead = Math.min(Math.round(before.dead * scale), records)
  const slices = Math.min(carriedSlicesMax, records)
  const upTo = (count: number, slice: number): number => Math.ceil((count * slice) / slices)
  return Array.from({ length: slices }, (_, slice) => ({
    records: upTo(records, slice + 1) - upTo(records, slice),
    dead: upTo(dead, slice + 1) - upTo(dead, slice),
  }))
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
