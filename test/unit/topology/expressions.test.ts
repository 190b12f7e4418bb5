import { expect, test } from 'vitest'
import { compileExpression } from '../../../src/expression/compile.ts'
import type { DecideContext } from '../../../src/decide/plan.ts'
import type { Event } from '../../../src/record/event.ts'
import { fieldsOfJsonSchema } from '../../../src/topology/event-types.ts'
import { eventScope, ruleScope } from '../../../src/topology/expressions.ts'
import { load, problemsOf, topology } from './written.ts'

const fields = fieldsOfJsonSchema({
  properties: {
    type: { type: 'string' },
    map: { type: 'string' },
    in: { type: 'number' },
    double: { type: 'number' },
    '@timestamp': { type: 'string' },
    'user-id': { type: 'integer' },
    user: { type: 'integer' },
    event: { type: 'string' },
    score: { type: 'number' },
    amount: { type: 'number' },
    vip: { type: 'boolean' },
    payload: {
      type: 'object',
      properties: { cents: { type: 'integer' }, 'x-y': { type: 'number' }, kind: { const: 'a' } },
    },
    currency: { enum: ['EUR', 'USD', null] },
    currencies: { type: 'array', items: { type: 'string', enum: ['EUR', 'USD'] } },
    mcc: { anyOf: [{ type: 'integer', enum: [5411, 5812] }, { type: 'null' }] },
    either: { oneOf: [{ enum: ['a'] }, { type: 'string' }] },
  },
})!
const scope = eventScope(fields)
const raw = { topic: 'in', partition: 0, offset: 0, timestamp: 0, key: null, value: null, headers: [] }
const event: Event = {
  id: '1',
  key: 'c',
  time: 0,
  raw,
  fields: {
    type: 'CASH_OUT',
    map: 'm',
    in: 3,
    double: 2,
    '@timestamp': 't',
    'user-id': 7,
    event: 'click',
    score: 0.5,
    amount: 100,
    payload: { cents: 250, 'x-y': 1 },
  },
}

test.each([
  'event["type"] == "CASH_OUT"',
  'event.type == "CASH_OUT"',
  'event["map"] == "m"',
  'event["in"] in [1, 3]',
  'event["double"] * 2 == 4',
  'event["@timestamp"] == "t"',
  'event["user-id"] == 7',
  'event["event"] == "click"',
  'event.event == "click"',
  'event.amount / 4 == 25',
  'event.payload.cents in [250, 1]',
  'payload["x-y"] == 1',
  'has(event["type"]) && !has(event.vip) && event.vip == null',
])('%s names a field whatever it is called', (text) => {
  const compiled = compileExpression(text, scope, 'boolean')
  expect(compiled.ok ? compiled.test(event) : compiled.message).toBe(true)
})

test.each([
  ['type == "x"', 'type is a word of CEL, not the field type', 'Write event["type"].'],
  ['amount > 1 && type == "x"', 'type is a word of CEL', 'Write event["type"].'],
  ['map == "x"', 'map is a word of CEL', 'Write event["map"].'],
  ['in > 3', 'in is a word of CEL', 'Write event["in"].'],
  ['double > 3', 'double is a word of CEL', 'Write event["double"].'],
  ['@timestamp == "x"', '@timestamp is not a name that CEL can spell', 'Write event["@timestamp"].'],
  ['event == "click"', 'event stands for the event as a whole', 'Write event["event"].'],
  ['event["tpye"] == "x"', 'no such key: tpye', 'Did you mean type?'],
  ['event.amuont > 1', 'no such key: amuont', 'Did you mean amount?'],
  ['map.x == 1', 'map is a word of CEL, not the field map', 'Write event["map"].'],
  ['has(map.x)', 'map is a word of CEL, not the field map', 'Write event["map"].'],
  ['double["x"] == 1', 'double is a word of CEL, not the field double', 'Write event["double"].'],
  ['type.startsWith("CASH")', 'type is a word of CEL, not the field type', 'Write event["type"].'],
  ['amount > 1 && in.x > 2', 'in is a word of CEL, not the field in', 'Write event["in"].'],
  ['event.startsWith("c")', 'event stands for the event as a whole', 'Write event["event"].'],
  ['string.x == 1', 'string is a word of CEL, not a field', ''],
  ['has(optional)', 'optional is a word of CEL, not a field', ''],
  ['has(event)', 'event stands for the event as a whole', 'Write event["event"].'],
  ['event.in > 2', 'in is a word of CEL and cannot stand behind a point', 'Write event["in"].'],
  ['has(payload.true)', 'true is a word of CEL', 'Write payload["true"].'],
  ['amount in []', 'nothing is in a list without items', ''],
  ['amount == 5u', 'is not defined', 'without the u'],
  ['max(amount, 1, 2) > 1', 'max takes two numbers, not 3', 'max(a, max(b, c))'],
  ['abs(amount, 1) > 1', 'abs takes one number, not 2', 'abs(x)'],
  ['payload.cemts in [1]', 'no such key: cemts', 'Did you mean cents?'],
  ['payload.cents == "x"', 'number == text is not defined', ''],
  ['event["type"] > 3', 'text > number is not defined', ''],
])('%s is refused: %s', (text, message, suggestion) => {
  const compiled = compileExpression(text, scope, 'boolean')
  if (compiled.ok) throw new Error('it compiles')
  expect(compiled.message).toContain(message)
  expect(compiled.suggestion).toContain(suggestion)
})

test('a dash in the name of a field is a subtraction, which warns', () => {
  const subtraction = compileExpression(
    'user-in > 0',
    eventScope(new Map([...fields, ['id', fields.get('user')!]])),
    'boolean',
  )
  expect(subtraction.ok).toBe(false)
  const warned = compileExpression(
    'user-id > 0',
    eventScope(new Map([...fields, ['id', fields.get('user')!]])),
    'boolean',
  )
  expect(warned.ok && warned.warnings.map(({ suggestion }) => suggestion)).toEqual([
    'For the field write event["user-id"].',
  ])
})

function rule(text: string, context: Partial<DecideContext>): boolean {
  const compiled = compileExpression(text, ruleScope(fields, ['half'], ['count']), 'boolean')
  if (!compiled.ok) throw new Error(compiled.message)
  const empty = { score: 0, scoreType: 'float32', fields: {}, values: {}, features: {}, flags: [] } as const
  return compiled.test({ ...empty, ...context })
}

// What a model that answers in float32 hands on for 0.95 is 0.949999988079071.
test.each([
  ['score >= 0.95', 0.95, true],
  ['0.95 <= score', 0.95, true],
  ['score == 0.95', 0.95, true],
  ['score != 0.95', 0.95, false],
  ['score > 0.95', 0.95, false],
  ['score < 0.95', 0.95, false],
  ['score in [0.9, 0.95]', 0.95, true],
  ['score in [0, 1, 0.5]', 0.5, true],
  ['score >= 0.3 && score <= 0.95', 0.95, true],
  ['score >= 0.9 + 0.05', 0.95, true],
  ['score >= amount', 0.95, true],
  ['score >= values.half', 0.95, true],
  ['score > 0.5', 0.5, false],
  ['score >= 0.5', 0.5, true],
  ['score > 0', 1e-40, true],
  ['score >= 1', 1, true],
  ['score * 100 >= 95', 0.95, true],
  ['score * 100 in [94, 95]', 0.95, true],
  ['score / 2 >= 0.475', 0.95, true],
  ['score - 0.05 >= 0.9', 0.95, true],
  ['1 - score <= 0.05', 0.95, true],
  ['1 - score == 0.3', 0.7, true],
  ['-score <= -0.95', 0.95, true],
  ['max(score, 0.2) >= 0.95', 0.95, true],
  ['(score > 0.5 ? score : 0.0) >= 0.95', 0.95, true],
  ['[score].exists(s, s >= 0.95)', 0.95, true],
  ['cel.bind(s, score, s >= 0.95)', 0.95, true],
  ['string(score) == "0.95"', 0.95, true],
  ['score * 100 >= 95', 0.949999, false],
  ['score * 1000 > 950', 0.95, false],
  ['score + amount >= 1.9', 0.95, true],
  ['double(score) >= 0.95', 0.95, true],
  ['double(score) >= 0.9500000001', 0.95, false],
])('%s of a float32 score of %d is %s', (text, score, expected) => {
  expect(rule(text, { score: Math.fround(score), fields: { amount: 0.95 }, values: { half: 0.95 } })).toBe(
    expected,
  )
})

test('a score of a model that answers in doubles is compared as it is', () => {
  expect(rule('score >= 0.95', { score: Math.fround(0.95), scoreType: 'float64' })).toBe(false)
  expect(rule('score == 0.95', { score: 0.95, scoreType: 'float64' })).toBe(true)
  expect(rule('score == 0.9500000001', { score: 0.95, scoreType: 'float64' })).toBe(false)
})

test.each([
  ['event.payload["cents"] > 1', 'payload.cents > 1'],
  ['event["type"] == "x"', 'event.type == "x"'],
  ['size([1].filter(i, event.amount > i)) > 0', 'size([1].filter(i, amount > i)) > 0'],
  ['event["user-id"] > 1', 'event["user-id"] > 1'],
  ['event["in"] > 1', 'event["in"] > 1'],
  ['[payload].exists(event, event.cents > 1)', '[payload].exists(event, event.cents > 1)'],
  ['[1.0].exists(amount, event.amount > amount)', '[1.0].exists(amount, event.amount > amount)'],
  ['cel.bind(amount, 1.0, event.amount > amount)', 'cel.bind(amount, 1.0, event.amount > amount)'],
])('%s names what %s names', (text, expected) => {
  const compiled = compileExpression(text, scope, 'boolean')
  expect(compiled.ok && compiled.canonical).toBe(expected)
})

test('a value that hides a field keeps event. in front of the field', () => {
  const compiled = compileExpression('event.amount > amount', ruleScope(fields, ['amount'], []), 'boolean')
  expect(compiled.ok && compiled.canonical).toBe('event.amount > amount')
})

test('a group of names as a whole is refused, with one of its names', () => {
  const compiled = compileExpression('has(features)', ruleScope(fields, [], ['count']), 'boolean')
  expect(compiled).toMatchObject({ ok: false, suggestion: 'Write features.count, or another of them.' })
})

test.each([
  ['amount / 0 > 1', 'amount / 0 divides by zero', ''],
  ['amount % 0.0 == 1', 'divides by zero', ''],
  ['currency == "EURO"', '"EURO" is never found', 'Known: "EUR", "USD".'],
  ['currency in ["EUR", "GPB"]', '"GPB" is never found', 'Known: "EUR", "USD".'],
  ['"GPB" in currencies', '"GPB" is never found', 'Known: "EUR", "USD".'],
  ['mcc == 5813', '5813 is never found', 'Known: 5411, 5812.'],
  ['payload.kind in ["x"]', '"x" is never found', 'Known: "a".'],
  ['type(amount) == int', 'no number of an event is of type int', 'Write == double.'],
  ['amount == 9007199254740993.0', '9007199254740993.0 is 9007199254740992 as a double', '9007199254740993.'],
])('%s warns', (text, message, suggestion) => {
  const compiled = compileExpression(text, scope, 'boolean')
  const [warning] = compiled.ok ? compiled.warnings : []
  expect(warning?.message).toContain(message)
  expect(warning?.suggestion).toContain(suggestion)
})

test.each([
  'currency in ["EUR", "USD"]',
  'mcc == 5411.0 || mcc in [5812]',
  'either == "b"',
  '"EUR" in currencies',
  'currency != "GBP"',
  'currency == null',
])('%s does not warn', (text) => {
  const compiled = compileExpression(text, scope, 'boolean')
  expect(compiled.ok && compiled.warnings).toEqual([])
})

test('a flag that does not exist warns', () => {
  const compiled = compileExpression('"lat" in flags', ruleScope(fields, [], []), 'boolean')
  expect(compiled.ok && compiled.warnings).toMatchObject([
    { message: '"lat" is never found: it is none of the values there are' },
  ])
})

test('rules reach a field that has the name of one of their words', () => {
  expect(rule('event["score"] == 0.5 && score == 0', { fields: { score: 0.5 } })).toBe(true)
})

test('a number of more than 53 bits keeps its digits in the file', () => {
  for (const written of ['9007199254740993', '"9007199254740993"', '-9007199254740993']) {
    const { featuresSpec } = load(topology(['  amount: amountCents / 100', `  amount: ${written}`]))
    expect(featuresSpec.values[0]!.expression.text).toBe(written.replaceAll('"', ''))
  }
})

test('an error is told with the place of the expression in the file', () => {
  const plan = load(
    topology(
      ['where: amountCents < 500', 'where: int(customer) < 500'],
      ['decline: score >= 0.9', 'decline: int(customer) > 9'],
      ['when: features', 'when: int(customer) > 9 || features'],
    ),
  )
  const heard: string[] = []
  const failures = { failed: (place: string) => heard.push(place) }
  const odd = { ...event, fields: { customer: 'c1', terminal: 't', amountCents: 1, ts: 0 } }
  const context = {
    score: 0,
    scoreType: 'float32',
    fields: odd.fields,
    values: {},
    features: {},
    flags: [],
  } as const
  for (const layout of plan.features.layoutsFedBy('transactions'))
    plan.features.insert(layout, plan.features.newPart(layout), odd, failures)
  for (const outcome of plan.decide.outcomes) outcome.test(context, failures)
  for (const one of plan.decide.rules) one.test(context, failures)
  expect(heard).toEqual([
    'features.small_10m.where',
    'decide.outcome[0].decline',
    'decide.alerts.testing.when',
  ])
})

test.each([
  ['p95', 'p95 is not its name here. Write quantile with q: 0.95.'],
  ['nunique', 'nunique is not its name here. Write distinct.'],
  ['stddev', 'stddev is not its name here. Write std.'],
  ['slope', 'slope is not its name here. Write trend.'],
  ['topk', 'topk is not supported yet. Use mode and modeShare'],
  ['skew', 'skew is not supported yet. Use std'],
  ['avg', 'avg is not its name here. Write mean.'],
  ['cuont', 'Did you mean count?'],
])('aggregate: %s is answered with what to use', (written, answer) => {
  const [problem] = problemsOf(topology(['aggregate: count', `aggregate: ${written}`]))
  expect(`${problem?.message} ${problem?.suggestion}`).toContain(answer)
})

test.each(['percentile', 'mean'])('%s() in an expression is answered with where windows are', (word) => {
  const [problem] = problemsOf(topology(['amountCents / 100', `${word}(amountCents)`]))
  expect(problem).toMatchObject({
    path: 'values.amount',
    message: `${word} is no function of one event.`,
    suggestion: expect.stringContaining('Windows are features') as string,
  })
})

test('the policy for errors is missing unless the topology says dead-letter', () => {
  expect(load(topology()).expressions.onError).toBe('missing')
  expect(load(`${topology()}expressions: {onError: dead-letter}\n`).expressions.onError).toBe('dead-letter')
  expect(problemsOf(`${topology()}expressions: {onError: ignore}\n`)).toMatchObject([
    { path: 'expressions.onError' },
  ])
})

test.each([
  ['code > 5', 'code is number or text by its schema', 'type(code) == double'],
  ['code == true', 'true is never found: what is looked for is number or text', ''],
  ['code in [5, "x", true]', 'true is never found', ''],
])('%s of a field of type [integer, string] warns', (text, message, suggestion) => {
  const union = eventScope(
    fieldsOfJsonSchema({ properties: { code: { type: ['integer', 'string', 'null'] } } })!,
  )
  const compiled = compileExpression(text, union, 'boolean')
  const [warning] = compiled.ok ? compiled.warnings : []
  expect(warning?.message).toContain(message)
  expect(warning?.suggestion).toContain(suggestion)
  const guarded = compileExpression('code in [5, "x"] || code == "y"', union, 'boolean')
  expect(guarded.ok && guarded.warnings).toEqual([])
})
