/** What an expression can name: typed variables, and where each is read at run time. */
import { Environment } from '@marcbachmann/cel-js'
import { addArithmetic, addFunctions } from './language.ts'

/** `number` is CEL's double: numbers of events are doubles, whole or not. `any` is checked at run time only. */
export type VariableType = 'number' | 'boolean' | 'text' | 'texts' | 'numbers' | 'any'

export interface Variable<Context> {
  readonly type: VariableType
  /** Only whole numbers: sums of it stay exact. */
  readonly integer: boolean
  /** The value, or undefined or null where it is missing. */
  read(context: Context): unknown
}

export interface ExpressionScope<Context> {
  /** Bare names. Names that are not identifiers cannot be written in an expression and are left out. */
  readonly variables: ReadonlyMap<string, Variable<Context>>
  /** `features.x`: names behind a prefix. */
  readonly groups: ReadonlyMap<string, ReadonlyMap<string, Variable<Context>>>
  readonly environment: Environment
}

export const celTypes: Readonly<Record<VariableType, string>> = {
  number: 'double',
  boolean: 'bool',
  text: 'string',
  texts: 'list<string>',
  numbers: 'list<double>',
  any: 'dyn',
}

// Words of the language and names of its types; a field of such a name cannot be used in an expression.
const reserved = new Set(
  (
    'as bool break bytes const continue double dyn else false for function if import in int let list loop map ' +
    'namespace null null_type optional package return string true type uint var void while'
  ).split(' '),
)

export function isName(name: string): boolean {
  return /^[A-Za-z_]\w*$/.test(name) && !reserved.has(name)
}

export function createScope<Context>(
  variables: ReadonlyMap<string, Variable<Context>>,
  groups: ReadonlyMap<string, ReadonlyMap<string, Variable<Context>>> = new Map(),
): ExpressionScope<Context> {
  const environment = new Environment()
  addArithmetic(environment)
  addFunctions(environment)
  const usable = new Map<string, Variable<Context>>()
  for (const [name, variable] of variables) {
    if (!isName(name) || groups.has(name)) continue
    usable.set(name, variable)
    environment.registerVariable(name, celTypes[variable.type])
  }
  for (const [group, members] of groups) {
    const fields = [...members].map(([name, variable]) => [name, celTypes[variable.type]])
    environment.registerVariable({
      name: group,
      schema: Object.fromEntries(fields) as Record<string, string>,
    })
  }
  return { variables: usable, groups, environment }
}
