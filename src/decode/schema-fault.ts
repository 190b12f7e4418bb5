import type { ErrorObject } from 'ajv'
import { Fault, show } from './fault.ts'
import { valueAt } from './json-numbers.ts'

/**
 * What ajv found, as one sentence: JSON path, what was expected, what was found. `exact`: the record itself, where ajv was
 * given something else in its place.
 */
export function schemaFault(errors: readonly ErrorObject[] | null | undefined, exact?: unknown): Fault {
  const first = errors?.[0]
  const last = errors?.at(-1)
  if (first === undefined || last === undefined) {
    return new Fault('SCHEMA', 'at /: does not satisfy the schema')
  }
  // Errors of the branches come before the error of the choice itself, and one branch alone would mislead.
  const isChoice = last.keyword === 'anyOf' || last.keyword === 'oneOf'
  const told = isChoice ? last : first
  return new Fault(
    'SCHEMA',
    sentence(exact === undefined ? told : { ...told, data: valueAt(exact, told.instancePath) }),
  )
}

function sentence(error: ErrorObject): string {
  const at = `at ${error.instancePath || '/'}`
  const found = `found ${show(error.data)}`
  switch (error.keyword) {
    case 'required':
      return `${at}: expected property ${show(error.params['missingProperty'])}, found none`
    case 'type':
      return `${at}: expected ${[error.params['type']].flat().join(' or ')}, ${found}`
    case 'enum':
      return `${at}: expected one of ${listed(error.params['allowedValues'])}, ${found}`
    case 'const':
      return `${at}: expected ${show(error.params['allowedValue'])}, ${found}`
    case 'additionalProperties':
      return `${at}: expected no property ${show(error.params['additionalProperty'])}, found one`
    case 'anyOf':
    case 'oneOf':
      return `${at}: expected one of the alternatives of ${error.keyword}, ${found}`
    default:
      return `${at}: expected ${(error.message ?? error.keyword).replace(/^must /, 'to ')}, ${found}`
  }
}

function listed(values: unknown): string {
  const all: readonly unknown[] = Array.isArray(values) ? values : [values]
  const shown = all.slice(0, 8).map(show).join(', ')
  return all.length > 8 ? `${shown} and ${all.length - 8} more` : shown
}
