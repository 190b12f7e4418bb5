import { MillraceError } from '../errors.ts'

/** Tries of the same records, before a mistake that comes back every time counts against them. */
export const sameFailureMax = 3

/**
 * Notices that work on the same records fails again and again by a mistake of a program (a TypeError somewhere in it), which
 * trying again cannot mend. Then it is INTERNAL: the process ends with its note in place, and the records are isolated as
 * any that end processes. Trouble of servers is no such mistake, however long it lasts.
 */
export class SameFailure {
  #seen: { readonly offset: number; readonly text: string; times: number } | null = null

  /** `offset`: committed when the work failed; −1: nothing yet. Returns what to stop with; null: try again. */
  note(name: string, offset: number, error: unknown): MillraceError | null {
    const mistake = mistakeIn(error)
    if (mistake === null) {
      this.#seen = null
      return null
    }
    const text = `${mistake.name}: ${mistake.message}`
    if (this.#seen?.offset !== offset || this.#seen.text !== text) this.#seen = { offset, text, times: 0 }
    if (++this.#seen.times < sameFailureMax) return null
    const which = offset < 0 ? 'the first records taken' : `the records from offset ${offset}`
    const where = `${name}: ${which} failed ${sameFailureMax} times in the same way`
    return new MillraceError('INTERNAL', `${where}: ${text}`, { cause: error })
  }
}

const mistakes = [TypeError, RangeError, ReferenceError, SyntaxError]

function mistakeIn(error: unknown): Error | null {
  const looked = new Set<unknown>()
  for (let at = error; at instanceof Error && !looked.has(at); at = at.cause) {
    looked.add(at)
    if (mistakes.some((mistake) => at instanceof mistake)) return at
  }
  return null
}
