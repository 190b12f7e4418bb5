/** Which columns of a row may differ from their definition in the last digits, and by how much. */
import type { FeaturesSpec } from '../../src/features/spec.ts'
import { isClose, isRoundedAggregate } from './aggregate-oracle.ts'

/** Whether a row's number is what the definition says. `found`: the numbers of the same row by name. */
export function agrees(
  spec: FeaturesSpec,
  name: string,
  found: (name: string) => number | null,
  expected: number | null,
): boolean {
  const actual = found(name)
  if (actual === expected) return true
  if (!isRounded(spec, name)) return false
  const feature = spec.features.find((candidate) => candidate.name === name)
  if (feature?.kind !== 'ratio') return isClose(actual, expected)
  // That of the numbers in the row: where one of them is nearly 0, theirs may be anything.
  const [of, to] = [found(feature.of), found(feature.to)]
  return actual === (of === null || to === null || to === 0 ? feature.default : of / to)
}

function isRounded(spec: FeaturesSpec, name: string): boolean {
  const feature = spec.features.find((candidate) => candidate.name === name)
  if (feature === undefined) return false
  if (feature.kind === 'ratio') return isRounded(spec, feature.of) || isRounded(spec, feature.to)
  return isRoundedAggregate(feature)
}
