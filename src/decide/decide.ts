import type { FailureSink } from '../expression/failure.ts'
import { severities, type AlertRuleHit, type Severity } from '../record/prediction.ts'
import type { DecideContext, DecidePlan } from './plan.ts'

export interface Decided {
  /** Name of the first outcome that matched; `none` when none did. */
  readonly decision: string
  /** Every rule that fired, in topology order. */
  readonly rules: readonly AlertRuleHit[]
  /** The highest of the rules; null: no alert. */
  readonly severity: Severity | null
}

const noRules: readonly AlertRuleHit[] = Object.freeze([])

export function decide(plan: DecidePlan, context: DecideContext, failures?: FailureSink): Decided {
  const decision = plan.outcomes.find((outcome) => outcome.test(context, failures))?.name ?? 'none'
  let rules: AlertRuleHit[] | null = null
  let severity: Severity | null = null
  for (const rule of plan.rules) {
    if (!rule.test(context, failures)) continue
    rules ??= []
    rules.push({ id: rule.id, severity: rule.severity })
    severity = severity === null ? rule.severity : higher(severity, rule.severity)
  }
  return { decision, rules: rules ?? noRules, severity }
}

function higher(a: Severity, b: Severity): Severity {
  return severities.indexOf(a) >= severities.indexOf(b) ? a : b
}
