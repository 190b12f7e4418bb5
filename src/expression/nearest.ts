/** The candidate a writer most likely meant, or null when none is close (about a third of the letters differ at most). */
export function nearest(written: string, candidates: Iterable<string>): string | null {
  let best: string | null = null
  let bestDistance = Infinity
  for (const candidate of candidates) {
    const far = Math.max(1, Math.round(Math.max(written.length, candidate.length) / 3))
    const distance = editDistance(written.toLowerCase(), candidate.toLowerCase(), far)
    if (distance <= far && distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** "Did you mean x?", or what there is when nothing is close. At most 12 names are listed. */
export function didYouMean(written: string, candidates: Iterable<string>): string {
  const names = [...new Set(candidates)]
  const close = nearest(written, names)
  if (close !== null) return `Did you mean ${close}?`
  if (names.length === 0) return 'There is none.'
  const listed = names.slice(0, 12).join(', ')
  return names.length > 12 ? `Known: ${listed}, …` : `Known: ${listed}.`
}

/** Damerau-Levenshtein distance of neighbours; Infinity as soon as the lengths alone exceed `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return Infinity
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + (same ? 0 : 1))
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) cost = Math.min(cost, beforeLast[j - 2]! + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
