import { expect, test } from 'vitest'
import { observePipeline } from '../../../src/service/observe.ts'
import { quietLog } from '../../../src/telemetry/log.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'

const input = { source: 's', topic: 'in', partition: 0 }

test('an expression in error counts by its place, and is told of at the 1st, 10th, 100th time', async () => {
  const { metrics, registry } = createMetrics()
  const said: unknown[] = []
  const log = { ...quietLog, warn: (fields: object, message: string) => said.push({ ...fields, message }) }
  const observer = observePipeline(metrics, log)
  for (let i = 0; i < 150; i++)
    observer.expressionFailed(input, 'features.x.where', 'text < number is not defined')
  observer.expressionFailed(input, 'values.y', 'int() cannot read this text')
  const text = await registry.metrics()
  expect(text).toContain('millrace_expression_errors_total{expression="features.x.where"} 150')
  expect(text).toContain('millrace_expression_errors_total{expression="values.y"} 1')
  expect(said).toMatchObject([
    { expression: 'features.x.where', count: 1, error: 'text < number is not defined' },
    { expression: 'features.x.where', count: 10 },
    { expression: 'features.x.where', count: 100 },
    { expression: 'values.y', count: 1 },
  ])
})
