/** Functions and operators that are the CEL engine's own, called with values: times, durations, texts. */
import { Environment } from '@marcbachmann/cel-js'
import type { ParseResult } from '@marcbachmann/cel-js'
import { Failure } from './failure.ts'

const environment = new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false })
// One for each function and number of arguments that topologies of this process use.
const programs = new Map<string, ParseResult>()

/** `text` is CEL over a0, a1, …; all arguments are there. */
export function callEngine(text: string, args: readonly unknown[]): unknown {
  let program = programs.get(text)
  if (program === undefined) {
    program = environment.parse(text)
    programs.set(text, program)
  }
  try {
    return plain(program(Object.fromEntries(args.map((arg, i) => [`a${i}`, arg]))))
  } catch (error) {
    return new Failure(reasonOf(error))
  }
}

/** CEL's uint is an object around a bigint; missing is undefined here. */
export function plain(value: unknown): unknown {
  if (value === null || value === undefined) return undefined
  const inner: unknown = typeof value === 'object' ? value.valueOf() : value
  return typeof inner === 'bigint' ? inner : value
}

/** What follows a colon may be a text of the event, which has no business in a log; names of types are none. */
function reasonOf(error: unknown): string {
  const { summary, message } = error as { summary?: string; message: string }
  const reason = (summary ?? message).split('\n')[0]!
  return reason.includes('overload') ? reason : reason.split(':')[0]!
}
