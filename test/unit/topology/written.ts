import { resolve } from 'node:path'
import { parseTopology } from '../../../src/topology/load.ts'
import type { Plan } from '../../../src/topology/plan.ts'
import { TopologyError } from '../../../src/topology/problem.ts'
import type { Problem } from '../../../src/topology/problem.ts'

/** In the folder of the real topologies, so that ../schemas is found. */
export const file = resolve(import.meta.dirname, '../../../topologies/test.yaml')

/** A small valid topology; `replace` swaps parts of its text. */
export function topology(...replace: readonly (readonly [from: string, to: string])[]): string {
  return replace.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the topology holds no ${from}`)
    return text.replace(from, () => to)
  }, small)
}

export function load(text: string, env: Readonly<Record<string, string>> = {}): Plan {
  return parseTopology(text, file, env, { model: 'optional' })
}

export function problemsOf(text: string, env: Readonly<Record<string, string>> = {}): readonly Problem[] {
  try {
    load(text, env)
    return []
  } catch (error) {
    if (error instanceof TopologyError) return error.problems
    throw error
  }
}

const small = `version: 1
name: small
kafka:
  brokers: localhost:9092
sources:
  transactions:
    role: score
    topic: in
    codec: {json: ../schemas/transaction.schema.json}
    id: id
    key: customer
    time: ts
  labels:
    role: state
    topic: labels
    codec: {json: ../schemas/label.schema.json}
    id: id
    key: terminal
    time: ts
entities:
  customer: {key: customer}
  terminal: {key: terminal, merge: true}
values:
  amount: amountCents / 100
  night: hourUtc(ts) <= 6
features:
  count_{window}:
    over: customer
    aggregate: count
    window: [1d, 7d]
  fraud_7d:
    over: terminal
    from: labels
    aggregate: count
    where: fraud
    window: 7d
    delay: 7d
  small_10m:
    over: customer
    aggregate: count
    where: amountCents < 500
    window: 10m
model:
  path: model.onnx
  inputs:
    x: [amount, night, count_1d, fraud_7d]
  score: score
decide:
  outcome:
    - decline: score >= 0.9
    - approve: true
  alerts:
    testing:
      when: features.small_10m >= 5 && amount > 50
      severity: high
sinks:
  predictions: {topic: out}
  alerts: {topic: alerts}
`
