import type { AggregateSettings } from '../spec.ts'

/**
 * Mean and sum of squared deviations of the values in [start, end), at least one. In two passes over differences from the
 * first: equal values have no deviation at all, and large ones that lie close together lose nothing.
 */
export interface Moments {
  readonly count: number
  /** The mean is origin + offset. */
  readonly origin: number
  readonly offset: number
  readonly squares: number
}

export function momentsOf(values: Float64Array, start: number, end: number): Moments {
  const count = end - start
  const origin = values[start]!
  let sum = 0
  for (let i = start; i < end; i++) sum += values[i]! - origin
  const offset = sum / count
  let squares = 0
  for (let i = start; i < end; i++) {
    const deviation = values[i]! - origin - offset
    squares += deviation * deviation
  }
  return { count, origin, offset, squares }
}

/** NaN of too few values: `sample` (the default) divides by n − 1 and needs two, `population` by n. */
export function varianceOf(
  { count, squares }: Pick<Moments, 'count' | 'squares'>,
  estimate: AggregateSettings['estimate'] = 'sample',
): number {
  const freedom = estimate === 'sample' ? count - 1 : count
  return freedom > 0 ? squares / freedom : NaN
}

/** In the line of `describe`. */
export const estimatePhrase = ({ estimate = 'sample' }: AggregateSettings): string => ` (${estimate})`
