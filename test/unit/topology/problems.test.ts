import { expect, test } from 'vitest'
import { formatProblem } from '../../../src/topology/problem.ts'
import { problemsOf, topology } from './written.ts'

/** Mistakes are marked at the end of their line: `#! path | message | suggestion`. */
const planted = `version: 1
name: planted
kafka:
  brokers: localhost  #! kafka.brokers | is not a list of host:port | separated by commas
  sesionTimeout: 10s  #! kafka.sesionTimeout | is not a known key | Did you mean sessionTimeout?
sources:
  transactions:
    role: score
    topic: in
    codec: {json: ../schemas/transaction.schema.json}
    id: idd  #! sources.transactions.id | no field idd | Did you mean id?
    key: customer
    time: ts
    allowedLateness: 1dd  #! sources.transactions.allowedLateness | "1dd" is not a duration | for example 1d
    start: 2026-13-01T00:00:00Z  #! sources.transactions.start | is not a time | for example 2026-01-31T00:00:00Z
  labels:
    role: state
    topic: labels
    codec: {json: ../schemas/lable.schema.json}  #! sources.labels.codec.json | cannot be read (ENOENT) | relative to the topology file
    id: id
    key: terminal
    time: ts
  more:
    role: score  #! sources.more.role | one scored source per topology | role: state
    topic: in  #! sources.more.topic | reads in already | another topic
    codec: {json: ../schemas/transaction.schema.json}
    id: id
    key: customer
    time: ts
    rekey: terminal  #! sources.more.rekey | is not a known key | Did you mean key?
entities:
  customer: {key: customer}
  terminal: {key: terminal}
values:
  amount: amountCents / 100
  ts: amountCents + 1  #! values.ts | is a field of transactions too | another name
  broken: amountCents + "x"  #! values.broken@11 | number + text is not defined | of one kind
  doubled: 1.0 + amount * 2  #! values.doubled@18 | unknown variable: amount | amount is a value; write its expression: (amountCents / 100)
  text: >-
    amountCents > 1 &&
    custmer == "x"  #! values.text@5 | unknown variable: custmer | Did you mean customer?
  score: amountCents - 1  #! values.score | word of expressions | another name
features:
  count_{window}:
    over: custmer  #! features.count_{window}.over | there is no entity custmer | Did you mean customer?
    aggregate: count
    window: [1d, 7d]
  count_1d:  #! features.count_1d | count_1d is the name of feature count_{window} already | unique
    over: customer
    aggregate: count
    window: 1d
  terminal_count:
    over: terminal  #! features.terminal_count.over | spread over the partitions of transactions | merge: true
    aggregate: count
    window: 1d
  listed:  #! features.listed | 2 windows need {window} in the name | listed_{window}
    over: customer
    aggregate: count
    window: [1d, 2d]
  averaged:
    over: customer
    aggregate: mean  #! features.averaged.aggregate | mean needs a value | Add value:
    window: 1d
  misspelt:
    over: customer
    aggregat: count  #! features.misspelt.aggregat | is not a known key | Did you mean aggregate?
    aggregate: cuont  #! features.misspelt.aggregate | "cuont" is not one of | Did you mean count?
    window: 1d
  circle_a:
    ratio: {of: circle_b, to: count_1d}  #! features.circle_a.ratio | circle_a → circle_b → circle_a | Break the circle
  circle_b:
    ratio: {of: circle_a, to: count_9d}  #! features.circle_b.ratio.to | no value or feature count_9d | Did you mean
  wrong_where:
    over: customer
    aggregate: count
    where: amountCents  #! features.wrong_where.where | a condition (true or false) is needed | amountCents > 0
    window: 1d
model:
  path: model.onnx
  inputs:
    x:
      - amount
      - count_1  #! model.inputs.x[1] | there is no value or feature count_1 | Did you mean count_1d?
      - amount  #! model.inputs.x[2] | listed twice | Remove one
  score: probabilities[1]  #! model.score | is not an output of the model | name[:, 1]
  workers: many  #! model.workers | "many" is not a whole number |
decide:
  outcome:
    - decline: score >= 0.9
    - review: scor >= 0.8  #! decide.outcome[1].review@15 | unknown variable: scor | Did you mean score?
  alerts:
    testing:
      when: features.cuont_1d > 3 && amount > 50  #! decide.alerts.testing.when@22 | no such key: cuont_1d | Did you mean count_1d?
      severity: high
    other:
      when: score > 0.5
      severity: hihg  #! decide.alerts.other.severity | "hihg" is not one of | Did you mean high?
sinks:
  predictions:
    topic: in  #! sinks.predictions.topic | in is read by source transactions | another topic
    codec: {avro: {subject: s}}  #! sinks.predictions.codec | avro needs a schema registry | Add registry
    include: [feature]  #! sinks.predictions.include[0] | "feature" is not one of | Did you mean features?
  alerts:
    topic: \${env:NOWHERE}  #! sinks.alerts.topic | NOWHERE is not set | \${env:NOWHERE:-default}
store:
  cacheMax: 128  #! store.cacheMax | 128 is not a size | 128MB
  redis: postgres://x  #! store.redis | is not a Redis address | redis://
`

interface Expected {
  readonly line: number
  readonly column: number | null
  readonly path: string
  readonly message: string
  readonly suggestion: string
}

const marks = planted.split('\n').flatMap((line, i): Expected[] => {
  const [, mark] = line.split('  #! ')
  if (mark === undefined) return []
  const [where, message, suggestion] = mark.split(' | ').map((part) => part.trim().replace(/ \|$/, ''))
  const [path, column] = where!.split('@')
  return [
    {
      line: i + 1,
      column: column === undefined ? null : Number(column),
      path: path!,
      message: message!,
      suggestion: suggestion ?? '',
    },
  ]
})

// Comments would be part of a folded text.
const text = planted
  .split('\n')
  .map((line) => line.split('  #! ')[0])
  .join('\n')
const problems = problemsOf(text)

test('more than a dozen different mistakes are planted', () => {
  expect(marks.length).toBeGreaterThan(30)
})

test.each(marks)('line $line: $path is found', (mark) => {
  const found = problems.filter(({ path, line }) => path === mark.path && line === mark.line)
  const whole = found.map((problem) => `${problem.message} ${problem.suggestion}`)
  expect(whole.join('\n')).toContain(mark.message)
  expect(whole.join('\n')).toContain(mark.suggestion)
  if (mark.column !== null) expect(found.map(({ column }) => column)).toContain(mark.column)
})

test('nothing else is reported', () => {
  const expected = new Set(marks.map(({ line, path }) => `${line} ${path}`))
  const others = problems.filter(({ line, path }) => !expected.has(`${line} ${path}`))
  expect(others.map(formatProblem)).toEqual([])
})

test('problems come in the order of the file, with a place that exists', () => {
  const lines = text.split('\n')
  const places = problems.map(({ line, column }) => line * 10_000 + column)
  expect(places).toEqual(places.toSorted((a, b) => a - b))
  for (const { line, column } of problems) expect(lines[line - 1]!.length).toBeGreaterThanOrEqual(column)
})

test('a problem is one line that an editor can jump to', () => {
  const [problem] = problemsOf(topology(['window: 7d', 'window: 1dd']))
  expect({ ...problem, file: 'topologies/x.yaml' }).toEqual({
    file: 'topologies/x.yaml',
    line: 36,
    column: 13,
    path: 'features.fraud_7d.window',
    message: '"1dd" is not a duration.',
    suggestion: 'Write a number and one of ms s m h d, for example 1d.',
  })
  expect(formatProblem({ ...problem!, file: 'topologies/x.yaml' })).toBe(
    'topologies/x.yaml:36:13  features.fraud_7d.window: "1dd" is not a duration. ' +
      'Write a number and one of ms s m h d, for example 1d.',
  )
})

const cases: readonly [string, string, string, string, string][] = [
  ['a reference that YAML takes apart', 'x: [amount,', 'x: [${env:X},', '', 'put quotes around ${…}'],
  ['a key that is there twice', 'name: small', 'name: small\nname: large', '', 'Map keys must be unique'],
  ['a tab', '  brokers:', '\tbrokers:', '', 'Indent with spaces'],
  ['a tag', 'name: small', 'name: !foo small', '', 'Remove the tag'],
  ['a second document', 'version: 1', '---\nversion: 1\n---\nversion: 1', '', 'one topology per file'],
  ['an alias without anchor', 'name: small', 'name: *nobody', 'name', 'anchor &nobody is not defined'],
  ['a reference of another style', 'name: small', 'name: ${NAME}', 'name', 'Write ${env:NAME}.'],
  ['a missing section', 'sinks:', 'ignored:', 'sinks', 'is missing'],
  ['a section of the wrong kind', 'decide:\n', 'decide: 3\nx:\n', 'decide', '3 is not key: value lines'],
  ['a wrong version', 'version: 1', 'version: 2', 'version', '2 is too large'],
  ['no scored source', 'role: score', 'role: state', 'sources', 'no source is scored'],
  [
    'horizon for a scored source',
    'topic: in',
    'topic: in\n    allowedLateness: horizon',
    'sources.transactions.allowedLateness',
    'role state',
  ],
  [
    'a scored late policy for labels',
    'topic: labels',
    'topic: labels\n    late: score',
    'sources.labels.late',
    'never scored',
  ],
  [
    'a key field of a wrong type',
    'key: terminal\n    time',
    'key: fraud\n    time',
    'sources.labels.key',
    'fraud is of type boolean',
  ],
  [
    'ISO time that is a number',
    'time: ts',
    'time: {field: ts, format: iso}',
    'sources.transactions.time.field',
    'format: epochMs',
  ],
  ['an unknown source', 'from: labels', 'from: lables', 'features.fraud_7d.from', 'Did you mean labels?'],
  [
    'an entity whose key the source lacks',
    'over: terminal',
    'over: customer',
    'features.fraud_7d.over',
    'source labels has no field customer',
  ],
  [
    'a name with {window} and no window',
    'small_10m:\n    over: customer\n    aggregate: count\n    where: amountCents < 500\n    window: 10m',
    'small_{window}: {ratio: {of: amount, to: night}}',
    'features.small_{window}',
    'no window to put in',
  ],
  ['a window that makes no name', '[1d, 7d]', '[1.5d, 7d]', 'features.count_{window}', '1d, not 1.5d'],
  [
    'a value for a count',
    'aggregate: count\n    where: fraud',
    'aggregate: count\n    value: ts\n    where: fraud',
    'features.fraud_7d.value',
    'takes no value',
  ],
  ['a feature named like a value', 'small_10m:', 'amount:', 'features.amount', 'name of a value already'],
  [
    'a ratio of itself',
    'small_10m:',
    'self: {ratio: {of: self, to: amount}}\n  small_10m:',
    'features.self.ratio',
    'self → self',
  ],
  [
    'an outcome list without a last resort',
    '- approve: true',
    '- approve: score < 0.1',
    'decide.outcome[1].approve',
    'must hold always',
  ],
  [
    'an outcome that hides others',
    '- decline: score >= 0.9',
    '- decline: true',
    'decide.outcome[0].decline',
    'never reached',
  ],
  [
    'two outcomes behind one dash',
    '- decline: score >= 0.9\n    -',
    '- decline: score >= 0.9\n     ',
    'decide.outcome[0]',
    'begin each with a dash',
  ],
  [
    'a boolean value used as a condition',
    'amount > 50',
    'night',
    'decide.alerts.testing.when',
    'Compare the number',
  ],
  [
    'a bare feature in a rule',
    'features.small_10m >= 5',
    'small_10m >= 5',
    'decide.alerts.testing.when',
    'Did you mean features.small_10m?',
  ],
  [
    'dead letters that would come back',
    'alerts: {topic: alerts}',
    'alerts: {topic: alerts}\n  deadLetters: {topic: labels}',
    'sinks.deadLetters.topic',
    'labels is read by source labels',
  ],
  [
    'a duration below its bound',
    'localhost:9092',
    'localhost:9092\n  sessionTimeout: 1ms',
    'kafka.sessionTimeout',
    'the smallest duration allowed here is 1s',
  ],
  [
    'a schema that is not JSON',
    'transaction.schema.json',
    'transaction.avsc',
    'sources.transactions.codec.json',
    'not a usable JSON Schema',
  ],
  [
    'a text where a list belongs',
    'predictions: {topic: out}',
    'predictions: {topic: out, include: features}',
    'sinks.predictions.include',
    'is not a list, for example [features]',
  ],
  [
    'credentials that are none',
    'localhost:9092',
    'localhost:9092\n  sasl: plain',
    'kafka.sasl',
    'write mechanism:',
  ],
  [
    'a section that is empty',
    'model:\n',
    'model:\nignored:\n',
    'model',
    'is missing: write key: value lines (path, inputs',
  ],
  ['inputs that are empty', 'x: [amount, night, count_1d, fraud_7d]', 'x: []', 'model.inputs.x', 'is empty'],
  [
    'a null where an entry belongs',
    'customer: {key: customer}',
    'customer:',
    'entities.customer',
    'is missing: write key: value lines (key, merge)',
  ],
  [
    'a list where a number belongs',
    'score: score\n',
    'score: score\n  workers: [1]\n',
    'model.workers',
    'A list is not a whole number',
  ],
]

test.each(cases)('%s is explained', (_, from, to, path, message) => {
  const found = problemsOf(topology([from, to])).filter((problem) => path === '' || problem.path === path)
  expect(found.map(formatProblem).join('\n')).toContain(message)
})

test('a broken text yields no verdict about names that it may hide', () => {
  const found = problemsOf(topology(['x: [amount,', 'x: [${env:X},']))
  expect(found.every(({ message }) => !message.includes('there is no'))).toBe(true)
})

test('a faulty entry does not make references to it dangle', () => {
  const found = problemsOf(
    topology(['aggregate: count\n    window: [1d, 7d]', 'aggregate: cuont\n    window: [1d, 7d]']),
  )
  expect(found.map(({ path }) => path)).toEqual(['features.count_{window}.aggregate'])
})

test('a password in a wrong address is not shown', () => {
  const [problem] = problemsOf(`${topology()}store: {redis: "http://user:hunter2@x"}\n`)
  expect(problem?.path).toBe('store.redis')
  expect(problem?.message).not.toContain('hunter2')
})

test('a reference that stands for nothing is one problem, not also a wrong name', () => {
  const found = problemsOf(topology(['alerts: {topic: alerts}', 'alerts: {topic: "${env:NOWHERE}"}']))
  expect(found.map(({ message }) => message)).toEqual(['the environment variable NOWHERE is not set.'])
})

test('an unknown key is shown at the key, not at what stands below it', () => {
  const found = problemsOf(topology(['sinks:', 'sink:\n  something: 1\nsinks:']))
  const line = topology().split('\n').indexOf('sinks:') + 1
  expect(found).toMatchObject([{ path: 'sink', line, column: 1, suggestion: 'Did you mean sinks?' }])
})

test.each([
  ['of an aggregate', 'window: 7d\n    delay', 'widnow: 7d\n    delay', 'features.fraud_7d.widnow'],
  ['with {window} in the name', 'window: [1d, 7d]', 'windows: [1d, 7d]', 'features.count_{window}.windows'],
  [
    'of a ratio',
    'small_10m:',
    'risk_{window}: {ratio: {of: amount, to: night}, widnow: [1d]}\n  small_10m:',
    'features.risk_{window}.widnow',
  ],
])('a misspelt window %s is one problem, and not all that follows from it', (_, from, to, path) => {
  const found = problemsOf(topology([from, to]))
  expect(found.map((problem) => [problem.path, problem.suggestion])).toEqual([[path, 'Did you mean window?']])
})

test('a key that is missing while another one is misspelt is still missing', () => {
  const found = problemsOf(topology(['over: terminal\n    from: labels', 'form: labels']))
  expect(found.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['features.fraud_7d.over', 'features.fraud_7d.form']),
  )
})

test('a delay shorter than the disorder of what other partitions feed is one problem, with the least that works', () => {
  const windows = (delay: string, outOfOrder = 'outOfOrder: 1m'): string =>
    topology(
      ['window: 7d\n    delay: 7d', `window: 7d\n    delay: ${delay}`],
      ['role: state', `role: state\n    ${outOfOrder}`],
    )
  expect(problemsOf(windows('59s'))).toMatchObject([
    {
      path: 'features.fraud_7d.delay',
      message: expect.stringContaining('59s is shorter than outOfOrder of labels (1m)') as string,
      suggestion: expect.stringContaining('Write 1m or more, or no delay') as string,
    },
  ])
  expect(problemsOf(windows('1m'))).toEqual([])
  expect(problemsOf(windows('0s'))).toEqual([])
  // Without it every event waits for the end of the labels, whatever the delay.
  expect(problemsOf(windows('1s', 'align: 30s'))).toEqual([])
  // In its own partition an event waits for nobody.
  const own = topology(['window: [1d, 7d]', 'window: [1d, 7d]\n    delay: 1s'])
  expect(problemsOf(own)).toEqual([])
  const merged = own.replace('customer: {key: customer}', 'customer: {key: customer, merge: true}')
  expect(problemsOf(merged).map(({ path }) => path)).toEqual(['features.count_{window}.delay'])
})

test.each([
  ['{protobuf: schema.proto}', 'Protobuf is not read.'],
  ['protobuf', 'Protobuf is not read.'],
  ['{csv: x}', 'csv is not read.'],
  ['json', 'json needs a schema.'],
])('codec: %s is answered with what is read', (codec, message) => {
  const written = topology(['codec: {json: ../schemas/transaction.schema.json}', `codec: ${codec}`])
  expect(problemsOf(written)).toMatchObject([
    {
      path: 'sources.transactions.codec',
      message,
      suggestion: 'Write codec: {json: SCHEMA} or codec: {avro: {subject: …, reader: …}}.',
    },
  ])
})
