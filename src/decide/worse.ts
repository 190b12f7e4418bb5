/** Which way the score is worse for an alert, so that its reasons are what moved it there. */
import { severities } from '../record/prediction.ts'
import type { DecideContext, DecidePlan, DecideRule } from './plan.ts'

/** `higher`: a higher score is worse, as of fraud; `lower`: as of an isolation forest. */
export type Worse = 'higher' | 'lower'

/**
 * The way that the rules that fired go. Where their text does not tell (a range, an equality), it is tried: the way back
 * to a score at which no alert would be is the better one. Where both ways lead out, or none, or where no fired rule names
 * the score: the way all other alert rules go, else the nearer way out, else higher is worse.
 */
export function worseOf(
  { rules }: Pick<DecidePlan, 'rules'>,
  fired: ReadonlySet<string>,
  score: number,
  at: (score: number) => DecideContext,
): Worse {
  const own = rules.filter(({ id, follows }) => fired.has(id) && follows !== 'none')
  const told = agreed(own)
  if (told !== null) return told
  const usual = agreed(rules.filter(({ follows }) => follows === 'up' || follows === 'down'))
  if (own.length === 0) return usual ?? 'higher'
  const others = rules.filter(({ id, follows }) => !fired.has(id) && follows !== 'none')
  const fires = (moved: number): boolean => {
    const context = at(moved)
    return own.some((rule) => rule.test(context)) || others.some((rule) => rule.test(context))
  }
  const [down, up] = [wayOut(score, -1, fires), wayOut(score, 1, fires)]
  if (down === up) return usual ?? weightiest(own) ?? 'higher'
  if (down === Infinity) return 'lower'
  if (up === Infinity) return 'higher'
  return usual ?? (down <= up ? 'higher' : 'lower')
}

/** What all of them say in their text; null when they disagree, or one of them does not say. */
function agreed(rules: readonly DecideRule[]): Worse | null {
  const [first, ...rest] = rules.map(({ follows }) => follows)
  if (first === undefined || rest.some((follows) => follows !== first)) return null
  return wayOf(first)
}

function wayOf(follows: DecideRule['follows']): Worse | null {
  return follows === 'up' ? 'higher' : follows === 'down' ? 'lower' : null
}

/** Of rules that contradict each other: the first of the highest severity that says. */
function weightiest(rules: readonly DecideRule[]): Worse | null {
  const sorted = rules.toSorted((a, b) => severities.indexOf(b.severity) - severities.indexOf(a.severity))
  return sorted.map(({ follows }) => wayOf(follows)).find((way) => way !== null) ?? null
}

// From a ten-thousandth of the score to a million times as far, doubling.
const steps = Array.from({ length: 34 }, (_, i) => 2 ** (i - 14))

/** How far the score has to move this way until nothing fires; Infinity: it never does. */
function wayOut(score: number, sign: 1 | -1, fires: (score: number) => boolean): number {
  const unit = Math.max(Math.abs(score), 1)
  return steps.find((step) => !fires(score + sign * step * unit)) ?? Infinity
}
