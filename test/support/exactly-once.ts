import { expect } from 'vitest'
import type { CardWorld } from './card-world.ts'
import type { CheckOptions, Outputs } from './evidence.ts'
import { problemsOf, summary } from './judge.ts'
import { readOutputs } from './outputs.ts'

export type { CheckOptions, Outputs } from './evidence.ts'
export { deadLetterPosition } from './judge.ts'
export { readOutputs } from './outputs.ts'

/** Asserts I1, I2, I3, I7 and exact features over everything the world's group has committed. Returns what it read. */
export async function checkExactlyOnce(world: CardWorld, options: CheckOptions = {}): Promise<Outputs> {
  const positions = await world.positions()
  const outputs = await readOutputs(world)
  const { plan, input } = world
  expect(summary(problemsOf({ plan, input, positions, outputs }, options))).toEqual([])
  return outputs
}
