/** Functions of expressions, over values that are all there. Those that are not here are the engine's. */
import { conversions } from './conversions.ts'
import { callEngine } from './engine.ts'
import { Failure } from './failure.ts'
import { numberFunctions } from './language.ts'
import { cachedPattern } from './linear-pattern.ts'
import { isGroup, isNumeric, kindOf } from './values.ts'
import type { Value } from './values.ts'

type Apply = (args: readonly Value[]) => Value

export function functionOf(name: string, arity: number): Apply {
  const numbers = numberFunctions.get(name)
  if (numbers !== undefined) {
    return (args) => {
      const wrong = args.find((arg) => !isNumeric(arg))
      if (wrong !== undefined) return new Failure(`${name}(${kindOf(wrong)}) is not defined`)
      const [a, b] = args as [number | bigint, (number | bigint)?]
      if (name === 'min' && b !== undefined) return a <= b ? a : b < a ? b : NaN
      if (name === 'max' && b !== undefined) return a >= b ? a : b > a ? b : NaN
      if (name === 'abs' && typeof a === 'bigint') return a < 0n ? -a : a
      return numbers.apply(Number(args[0]), Number(args[1] ?? 0))
    }
  }
  const convert = conversions.get(name)
  if (convert !== undefined) return ([value]) => convert(value)
  if (name === 'size') return ([value]) => sizeOf(value)
  const text = `${name}(${names(0, arity)})`
  return (args) => callEngine(text, args)
}

/** The first argument is what the method is called on. */
export function methodOf(name: string, arity: number): Apply {
  const ofTexts = textMethods[name]
  const text = `a0.${name}(${names(1, arity)})`
  if (name === 'size' && arity === 0) return ([value]) => sizeOf(value)
  if (ofTexts === undefined || arity !== 1) return (args) => callEngine(text, args)
  return (args) => {
    const [a, b] = args
    return typeof a === 'string' && typeof b === 'string' ? ofTexts(a, b) : callEngine(text, args)
  }
}

const textMethods: Readonly<Record<string, (a: string, b: string) => Value>> = {
  startsWith: (a, b) => a.startsWith(b),
  endsWith: (a, b) => a.endsWith(b),
  contains: (a, b) => a.includes(b),
  matches: (text, pattern) => {
    const compiled = pattern.length > patternLengthMax ? null : cachedPattern(pattern)
    return compiled === null ? new Failure('Invalid regular expression') : compiled.test(text)
  },
}

/** It may come from the event. */
const patternLengthMax = 1000

/** Code points of a text, items of a list, members of an object. */
function sizeOf(value: Value): Value {
  if (typeof value === 'string') return BigInt(Array.from(value).length)
  if (Array.isArray(value)) return BigInt(value.length)
  return isGroup(value) ? BigInt(Object.keys(value).length) : callEngine('size(a0)', [value])
}

function names(from: number, count: number): string {
  return Array.from({ length: count }, (_, i) => `a${i + from}`).join(', ')
}
