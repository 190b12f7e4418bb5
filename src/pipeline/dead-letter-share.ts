/** Watches the share of dead letters among the last `of` records. Pure but for what it remembers. */
export interface DeadLetterShare {
  /** Counts a slice; returns the share when it exceeds the bound, else null. */
  add(records: number, deadLetters: number): number | null
}

export function createDeadLetterShare(bound: { share: number; of: number }): DeadLetterShare {
  const slices: { records: number; dead: number }[] = []
  let records = 0
  let dead = 0
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
  }
}
