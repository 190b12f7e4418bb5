import { Failure } from './failure.ts'

/** Steps of loops that one run of an expression may take: some 10 ms. An event of a megabyte has as many items. */
export const stepsMax = 100_000
/** Looking at a list or a text inside a loop takes a step per so many items or characters. */
const itemsPerStep = 64

/** What one expression may still do; runs are synchronous, so one is enough for all runs of an expression. */
export interface Budget {
  left: number
}

/** Thrown through all loops; the run then has no result. */
class StepsExceeded extends Error {}

export function takeStep(budget: Budget): void {
  if (budget.left-- <= 0) throw new StepsExceeded()
}

/** Before something that looks at all of a list or a text. */
export function takeStepsFor(budget: Budget, value: unknown): void {
  if (typeof value !== 'string' && !Array.isArray(value)) return
  budget.left -= Math.floor(value.length / itemsPerStep)
  if (budget.left < 0) throw new StepsExceeded()
}

/** `run` with its budget filled anew each time. */
export function withinBudget<Context, Value>(
  budget: Budget,
  run: (context: Context) => Value,
): (context: Context) => Value | Failure {
  return (context) => {
    budget.left = stepsMax
    try {
      return run(context)
    } catch (error) {
      if (error instanceof StepsExceeded) {
        return new Failure(`loops over lists take more than ${stepsMax} steps`)
      }
      throw error
    }
  }
}
