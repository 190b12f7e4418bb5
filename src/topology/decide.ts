import type { DecideCondition, DecideContext, DecidePlan } from '../decide/plan.ts'
import type { DecideOptions } from '../decide/options.ts'
import { directionOf } from '../expression/direction.ts'
import type { ExpressionScope } from '../expression/scope.ts'
import type { TopologyDocument } from './document.ts'
import { compileAt, onFailure } from './expressions.ts'
import { pathText } from './problem.ts'
import type { Path } from './problem.ts'

/** `isFaulty`: names that exist although they are not in the scope, because their definition has problems. */
export function compileDecide(
  document: TopologyDocument,
  options: DecideOptions,
  scope: ExpressionScope<DecideContext>,
  isFaulty: (name: string) => boolean,
): DecidePlan {
  const references = new Set<string>()
  let isOpen = false
  const compile = (path: Path, text: string): DecideCondition | null => {
    const compiled = compileAt(document, path, text, scope, 'boolean', { isFaulty })
    if (compiled === null) return null
    for (const name of compiled.references) references.add(name)
    isOpen ||= compiled.isOpen
    const place = pathText(path)
    return (context, failures) => compiled.test(context, onFailure(place, failures))
  }
  const outcomes = options.outcome.flatMap((outcome, i) => {
    const [name, text] = Object.entries(outcome)[0]!
    const test = compile(['decide', 'outcome', i, name], text)
    return test === null ? [] : [{ name, test }]
  })
  checkOutcomes(document, options)
  const rules = Object.entries(options.alerts).flatMap(([id, { when, severity }]) => {
    const test = compile(['decide', 'alerts', id, 'when'], when)
    return test === null ? [] : [{ id, severity, follows: directionOf(when, 'score', scope), test }]
  })
  return { outcomes, rules, references: isOpen ? null : [...references], reasons: options.reasons }
}

function checkOutcomes(document: TopologyDocument, { outcome }: DecideOptions): void {
  const written = outcome.map((single) => Object.entries(single)[0]!)
  const last = written.length - 1
  written.forEach(([name, text], i) => {
    const path = ['decide', 'outcome', i, name]
    const always = text.trim() === 'true'
    if (i === last && !always) {
      document.add(
        path,
        'the last outcome must hold always, so that every event gets one.',
        `Add "- ${name === 'approve' ? 'other' : 'approve'}: true" at the end.`,
      )
    }
    if (i < last && always)
      document.add(path, 'outcomes after this one are never reached.', 'Move it to the end.')
    if (written.findIndex(([other]) => other === name) < i) {
      document.add(path, `${name} is an outcome already.`, 'Join the conditions with ||.', { atKey: true })
    }
  })
}
