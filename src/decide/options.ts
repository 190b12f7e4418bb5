import type { z } from 'zod'
import { severities } from '../record/prediction.ts'
import { entries, expression, integer, listOf, object, oneOf } from '../expression/written.ts'

const ruleName = /^[\w.-]{1,100}$/
const ruleNameExpected = 'a name (letters, digits, . _ -)'

/** `decide:`; conditions are CEL over the event's fields, `score`, values, `features.x` and `flags`. */
export const decideOptions = object({
  outcome: listOf(
    entries(ruleName, ruleNameExpected, expression()).refine((outcome) => Object.keys(outcome).length === 1, {
      error: 'holds several outcomes; begin each with a dash: "- name: condition".',
    }),
    'a list of "- name: condition"',
  )
    .prefault([{ scored: 'true' }])
    .describe('Decision of the prediction: the first condition that holds. The last must be `true`.'),
  alerts: entries(
    ruleName,
    ruleNameExpected,
    object({
      when: expression().describe('Condition (CEL).'),
      severity: oneOf(severities).describe('Severity of the rule; the alert takes the highest.'),
    }),
  )
    .prefault({})
    .describe('Alert rules. One alert per event lists every rule that fired.'),
  reasons: integer({ min: 0, max: 20 })
    .prefault(0)
    .describe(
      'Features listed on an alert as reasons: those whose replacement by their baseline moves the score back the most towards not firing (down for `score >= 0.8`, up for `score < 0.1`). 0: off.',
    ),
})

export type DecideOptions = z.output<typeof decideOptions>
