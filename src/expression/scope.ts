/** What an expression can name: typed variables, and where each is read at run time. */
import { Environment } from '@marcbachmann/cel-js'
import { addArithmetic, addFunctions, addNullTests } from './language.ts'

/**
 * `number` is CEL's double: numbers of events are doubles, whole or not. `object` has known fields. `any` is checked at
 * run time only.
 */
export type VariableType = 'number' | 'boolean' | 'text' | 'texts' | 'numbers' | 'list' | 'object' | 'any'

/** Type of a field, with what is inside it. */
export interface FieldType {
  readonly type: VariableType
  /** Only whole numbers: sums of it stay exact. */
  readonly integer: boolean
  /** Fields of an object. */
  readonly members?: ReadonlyMap<string, FieldType>
  /** Items of a list. */
  readonly items?: FieldType
  /** Of type any: those it may have, where the schema lists them. */
  readonly kinds?: readonly VariableType[]
  /** All that it may be (`enum`, `const`), null aside. */
  readonly values?: readonly unknown[]
}

export interface Variable<Context> extends FieldType {
  /** The value, or undefined or null where it is missing. */
  read(context: Context): unknown
  /** Numbers compared with this one are brought to its precision first; null: they stay doubles. */
  precision?(context: Context): ((value: number) => number) | null
}

export interface ExpressionScope<Context> {
  /** Bare names. Names that are not identifiers cannot be written in an expression and are left out. */
  readonly variables: ReadonlyMap<string, Variable<Context>>
  /** `features.x`: names behind a prefix. */
  readonly groups: ReadonlyMap<string, ReadonlyMap<string, Variable<Context>>>
  /** Members of objects by the name that the type check has for their type. */
  readonly objectTypes: ReadonlyMap<string, ReadonlyMap<string, FieldType>>
  readonly environment: Environment
}

const celTypes: Readonly<Record<Exclude<VariableType, 'list' | 'object'>, string>> = {
  number: 'double',
  boolean: 'bool',
  text: 'string',
  texts: 'list<string>',
  numbers: 'list<double>',
  any: 'dyn',
}

// Words of the language and names of its types; a field of such a name is written event["name"].
const reserved = new Set(
  (
    'as bool break bytes cel const continue double dyn else false for function google if import in int let list loop ' +
    'map namespace null null_type optional package prototype return string true type uint var void while __proto__'
  ).split(' '),
)

export function isName(name: string): boolean {
  return /^[A-Za-z_]\w*$/.test(name) && !reserved.has(name)
}

export function createScope<Context>(
  variables: ReadonlyMap<string, Variable<Context>>,
  groups: ReadonlyMap<string, ReadonlyMap<string, Variable<Context>>> = new Map(),
): ExpressionScope<Context> {
  // A list of 1 and 2.5 is one of numbers; what else may be mixed in it is checked where it is used.
  const environment = new Environment({ homogeneousAggregateLiterals: false })
  addArithmetic(environment)
  addFunctions(environment)
  const types = new TypeNames(environment)
  const usable = new Map<string, Variable<Context>>()
  for (const [name, variable] of variables) {
    if (!isName(name) || groups.has(name)) continue
    usable.set(name, variable)
    environment.registerVariable(name, types.of(variable))
  }
  for (const [group, members] of groups) environment.registerVariable(group, types.ofMembers(members))
  addNullTests(environment, types.used)
  return { variables: usable, groups, objectTypes: types.objects, environment }
}

/** Names of types in an environment; an object's is registered with its fields when first asked for. */
class TypeNames {
  readonly used = new Set<string>(['int', 'uint', 'double', 'string', 'bool'])
  readonly #environment: Environment
  readonly objects = new Map<string, ReadonlyMap<string, FieldType>>()
  readonly #names = new Map<ReadonlyMap<string, FieldType>, string>()

  constructor(environment: Environment) {
    this.#environment = environment
  }

  of({ type, members, items }: FieldType): string {
    const name =
      type === 'object'
        ? this.ofMembers(members ?? new Map())
        : type === 'list'
          ? `list<${items === undefined ? 'dyn' : this.of(items)}>`
          : celTypes[type]
    if (name !== 'dyn') this.used.add(name)
    return name
  }

  ofMembers(members: ReadonlyMap<string, FieldType>): string {
    const known = this.#names.get(members)
    if (known !== undefined) return known
    const fields = Object.fromEntries([...members].map(([name, field]) => [name, this.of(field)]))
    const name = `${objectTypePrefix}${this.#names.size + 1}`
    this.#names.set(members, name)
    this.objects.set(name, members)
    this.#environment.registerType({ name, fields })
    this.used.add(name)
    return name
  }
}

/** Types of objects have made-up names, which no message shows. */
export const objectTypePrefix = 'object_'
