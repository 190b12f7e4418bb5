import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import {
  expose,
  openMetricsType,
  prefersOpenMetrics,
  prometheusType,
} from '../../../src/telemetry/exposition.ts'

function exampleRegistry(): Registry {
  const registry = new Registry()
  const registers = [registry]
  new Counter({ name: 'x_total', help: 'Say "x".', labelNames: ['a'], registers }).inc({ a: 'b' }, 2)
  new Gauge({ name: 'active_total', help: 'A gauge with that ending.', registers }).set(3)
  new Histogram({ name: 'h_seconds', help: 'H.', buckets: [1], registers }).observe(0.5)
  return registry
}

const scraper =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'

describe('expose', () => {
  test('answers OpenMetrics: counter families without _total, samples with it, no blank line, an end mark', async () => {
    expect(await expose(exampleRegistry(), scraper)).toEqual({
      contentType: openMetricsType,
      body: [
        '# HELP x Say \\"x\\".',
        '# TYPE x counter',
        'x_total{a="b"} 2',
        '# HELP active_total A gauge with that ending.',
        '# TYPE active_total gauge',
        'active_total 3',
        '# HELP h_seconds H.',
        '# TYPE h_seconds histogram',
        'h_seconds_bucket{le="1"} 1',
        'h_seconds_bucket{le="+Inf"} 1',
        'h_seconds_sum 0.5',
        'h_seconds_count 1',
        '# EOF',
        '',
      ].join('\n'),
    })
  })

  test('a plain scrape shows the same names before and after an OpenMetrics one', async () => {
    const registry = exampleRegistry()
    const before = await expose(registry, undefined)
    await expose(registry, scraper)
    expect(await expose(registry, undefined)).toEqual(before)
    expect(before.contentType).toBe(prometheusType)
    expect(before.body).toContain('# TYPE x_total counter')
  })

  test.each([
    [scraper, true],
    ['application/openmetrics-text', true],
    ['text/plain, application/openmetrics-text;q=0.5', false],
    ['application/openmetrics-text;q=0', false],
    ['text/plain', false],
    ['*/*', false],
    [undefined, false],
  ])('Accept %s prefers OpenMetrics: %s', (accept, preferred) => {
    expect(prefersOpenMetrics(accept)).toBe(preferred)
  })
})
