/** What is wrong with an expression, and what to write instead. */
import type { ASTNode } from '@marcbachmann/cel-js'
import { memberOf, typeOf } from './ast.ts'
import { numberFunctions } from './language.ts'
import { didYouMean } from './nearest.ts'
import { notYetFunction } from './not-yet.ts'
import { isName, objectTypePrefix } from './scope.ts'
import type { ExpressionScope } from './scope.ts'

export interface ExpressionProblem {
  readonly ok: false
  /** Characters from the start of the text as given. */
  readonly offset: number
  readonly message: string
  readonly suggestion: string
  /** A function that there is not, or not with such arguments. */
  readonly called?: string
  /** It gives a text, which it may not. */
  readonly isText?: boolean
}

/** What a problem says: what is wrong, what to do. */
export interface Explained {
  readonly message: string
  readonly suggestion: string
}

interface EngineError {
  readonly summary?: string
  readonly code?: string
  readonly message: string
  readonly range?: { readonly start: number; readonly end: number }
  readonly node?: ASTNode
}

/** Of an error that the engine's parser or type check found. */
export function problemOf<Context>(
  error: unknown,
  text: string,
  shift: number,
  scope: ExpressionScope<Context>,
): ExpressionProblem {
  const found = error as EngineError
  const start = Math.min(found.range?.start ?? 0, text.length)
  const end = Math.min(found.range?.end ?? start, text.length)
  const isParsed = found.node?.op !== undefined
  const member = isParsed ? null : wordBehindPoint(text, start)
  if (member !== null) return { ok: false, offset: shift + start, ...member }
  const hidden = found.code === 'no_such_key' ? null : hiddenName(text, start, end, isParsed, scope)
  if (hidden !== null) return { ok: false, offset: shift + hidden.offset, ...hidden.explained }
  const called = found.code === 'no_matching_overload' ? calledIn(found.node) : null
  return {
    ok: false,
    offset: shift + start,
    ...explain(found, called, text.slice(start, end), scope),
    ...(called === null ? {} : { called }),
  }
}

/** `payload.in`: the parser takes no words of its own behind a point. */
function wordBehindPoint(text: string, at: number): Explained | null {
  const holder = /[\w"'\].[]+(?=\.\s*$)/.exec(text.slice(0, at))?.[0]
  const word = /^(?:in|true|false|null)\b/.exec(text.slice(at))?.[0]
  if (holder === undefined || word === undefined) return null
  return {
    message: `${word} is a word of CEL and cannot stand behind a point`,
    suggestion: `Write ${holder}["${word}"].`,
  }
}

/** The type of the whole does not fit. */
export function explainMismatch<Context>(
  type: string,
  text: string,
  expected: 'number' | 'boolean' | 'label',
  scope: ExpressionScope<Context>,
): Explained | null {
  const numeric = ['double', 'int', 'uint'].includes(type)
  if (type === 'dyn' || type === 'bool' || (numeric && expected !== 'boolean')) return null
  if (type === 'string' && expected === 'label') return null
  const hidden = hiddenName(text, 0, text.length, true, scope)
  if (hidden !== null) return hidden.explained
  if (expected === 'label') {
    return {
      message: `this is ${plainType(type)}, and a text, a number or a condition is needed`,
      suggestion: 'Take one of its items or members.',
    }
  }
  if (expected === 'number') {
    return {
      message: `this is ${plainType(type)}, and a number or a condition is needed`,
      suggestion:
        type === 'string' ? 'Compare it (for example == "x"), or use size(…).' : 'Make it a number.',
    }
  }
  return {
    message: `this is ${plainType(type)}, and a condition (true or false) is needed`,
    suggestion: numeric ? `Compare it, for example ${text} > 0.` : 'Compare it, for example == "x".',
  }
}

function explain<Context>(
  error: EngineError,
  called: string | null,
  part: string,
  scope: ExpressionScope<Context>,
): Explained {
  const reason = (error.summary ?? error.message).split('\n')[0]!
  if (called !== null && !numberFunctions.has(called)) {
    const [, message, suggestion] = /^(.*?)\. (.*)$/s.exec(notYetFunction(called) ?? '') ?? []
    if (message !== undefined && suggestion !== undefined) return { message, suggestion }
  }
  const own = called === null || error.node?.op !== 'call' ? undefined : numberFunctions.get(called)
  if (own !== undefined && error.node?.op === 'call') {
    const given = error.node.args[1].length
    const wanted = own.arity === 1 ? 'one number' : 'two numbers'
    if (given !== own.arity)
      return {
        message: `${called} takes ${wanted}, not ${given}`,
        suggestion:
          own.arity === 2 ? `Write ${called}(a, ${called}(b, c)) for three.` : `Write ${called}(x).`,
      }
  }
  if (/^operator overload '.* in list/i.test(reason))
    return { message: 'nothing is in a list without items', suggestion: 'Write at least one item.' }
  return { message: plainReason(reason), suggestion: suggestionFor(error, reason, part, scope) }
}

/** Of a name that the type check takes for a type, a namespace or a whole group. */
export function explainNoField<Context>(name: string, scope: ExpressionScope<Context>): Explained {
  if (scope.groups.get('event')?.has(name) === true) return explainHidden(name)
  const members = scope.groups.get(name)
  if (members === undefined)
    return { message: `${name} is a word of CEL, not a field`, suggestion: suggestName(name, scope) }
  const [first] = members.keys()
  return {
    message: `${name} stands for all of its names, and one is needed`,
    suggestion: first === undefined ? 'There are none.' : `Write ${name}.${first}, or another of them.`,
  }
}

function calledIn(node: ASTNode | undefined): string | null {
  return node?.op === 'call' || node?.op === 'rcall' ? node.args[0] : null
}

// Where the text could be parsed, these are what CEL takes them for.
const operators: ReadonlySet<string> = new Set(['in', 'true', 'false', 'null'])

/** A field that cannot be written by its bare name, where the error is. */
function hiddenName<Context>(
  text: string,
  start: number,
  end: number,
  isParsed: boolean,
  scope: ExpressionScope<Context>,
): { offset: number; explained: Explained } | null {
  const names = [...(scope.groups.get('event')?.keys() ?? [])].filter(
    (name) => !scope.variables.has(name) && !(isParsed && operators.has(name)),
  )
  const code = withoutTexts(text)
  for (const name of names.toSorted((a, b) => b.length - a.length)) {
    for (let at = code.indexOf(name); at >= 0; at = code.indexOf(name, at + 1)) {
      const after = at + name.length
      if (!standsAlone(code, at, after, scope) || at > end || after < start) continue
      return { offset: at, explained: explainHidden(name) }
    }
  }
  return null
}

function explainHidden(name: string): Explained {
  const why =
    name === 'event'
      ? 'event stands for the event as a whole'
      : isName(name)
        ? `${name} is a word of rules`
        : /^\w+$/.test(name)
          ? `${name} is a word of CEL`
          : `${name} is not a name that CEL can spell`
  return { message: `${why}, not the field ${name}`, suggestion: `Write event[${JSON.stringify(name)}].` }
}

/** Not a part of a longer word, a member or a function, nor what CEL takes it for. */
function standsAlone<Context>(
  code: string,
  at: number,
  after: number,
  { groups }: ExpressionScope<Context>,
): boolean {
  if (/[\w.@$]$/.test(code.slice(0, at))) return false
  const name = code.slice(at, after)
  const behind = code.slice(after)
  if (name === 'in') return !/^\s*[([]|^\w/.test(behind)
  if (groups.has(name)) return !/^\s*[([.]|^\w/.test(behind) || /^\.\s*\w+\s*\(/.test(behind)
  return !/^\s*\(|^\w/.test(behind) && !(name === 'cel' && /^\s*\.\s*bind\b/.test(behind))
}

/** Texts in quotes blanked out, at the same places. */
export function withoutTexts(text: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/gs, (quoted) => ' '.repeat(quoted.length))
}

function plainType(type: string): string {
  if (type === 'double' || type === 'int' || type === 'uint') return 'a number'
  if (type === 'string') return 'text'
  if (type.startsWith(objectTypePrefix)) return 'an object'
  return type.startsWith('list') ? 'a list' : `of type ${type}`
}

function plainReason(reason: string): string {
  const plain = reason
    .replaceAll(/\b(double|int|uint)\b/g, 'number')
    .replaceAll(/\bstring\b/g, 'text')
    .replaceAll(/\bbool\b/g, 'condition')
    .replaceAll(new RegExp(`${objectTypePrefix}\\d+`, 'g'), 'object')
  const overload = /^no such overload: (.+)$/.exec(plain)
  if (overload !== null) return `${overload[1]!} is not defined`
  return (overloadOf(reason) ? plain : reason).replace(/^./, (first) => first.toLowerCase())
}

function overloadOf(reason: string): boolean {
  return reason.startsWith('found no matching overload')
}

function suggestionFor<Context>(
  { code, node }: EngineError,
  reason: string,
  part: string,
  scope: ExpressionScope<Context>,
): string {
  switch (code) {
    case 'unknown_variable':
      return suggestName(part, scope)
    case 'no_such_key':
      return didYouMean(reason.replace(/^.*: /, ''), membersAround(node, scope))
    case 'no_such_overload':
      if (reason.includes('uint')) return 'Write whole numbers without the u behind them.'
      if (reason.endsWith(' in string')) return 'Write text.contains("part").'
      return reason.includes(' in ')
        ? 'The items of the list must be of the kind of what is looked for: numbers, or texts ("x").'
        : 'Both sides must be of one kind: numbers, texts ("x") or conditions.'
    case 'no_matching_overload': {
      const called = calledIn(node)
      const known = [...numberFunctions.keys(), ...otherFunctions]
      const meant = called === null || known.includes(called) ? '' : didYouMean(called, known)
      return meant.startsWith('Did') ? meant : `Functions: ${known.join(', ')}.`
    }
    case 'invalid_logical_operand':
      return 'Compare the number first, for example x > 0 && y > 0.'
    case 'incompatible_ternary_branches':
      return 'Write a whole number with a point (1.0) beside a number of the event.'
    case 'invalid_macro_argument':
      return 'Write has(field), or has(group.field).'
    default:
      return 'Write CEL, for example amountCents / 100 or hourUtc(ts) <= 6.'
  }
}

const otherFunctions = ['has', 'size', 'int', 'double', 'startsWith', 'endsWith', 'contains', 'matches']

function suggestName<Context>(name: string, scope: ExpressionScope<Context>): string {
  const grouped = [...scope.groups].flatMap(([group, members]) =>
    group === 'event' ? [] : [...members.keys()].map((member) => `${group}.${member}`),
  )
  const prefixed = grouped.find((member) => member.endsWith(`.${name}`))
  if (prefixed !== undefined) return `Did you mean ${prefixed}?`
  return didYouMean(name, [...scope.variables.keys(), ...grouped])
}

/** Names that the holder of an unknown member has. */
function membersAround<Context>(
  node: ASTNode | undefined,
  scope: ExpressionScope<Context>,
): Iterable<string> {
  const holder = node === undefined ? undefined : memberOf(node)?.holder
  const members = holder === undefined ? undefined : scope.objectTypes.get(typeOf(holder) ?? '')
  return members === undefined
    ? [...scope.groups.values()].flatMap((group) => [...group.keys()])
    : members.keys()
}
