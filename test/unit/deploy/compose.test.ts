import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadTopology } from '../../../src/topology/load.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const textOf = (file: string): string => readFileSync(join(root, file), 'utf8')

interface Service {
  readonly image: string
  readonly command?: string | readonly string[]
  readonly mem_limit?: string
  readonly ports?: readonly string[]
  readonly read_only?: boolean
  readonly stop_grace_period?: string
}

interface Rule {
  readonly alert: string
  readonly expr: string
}

const { services } = parse(textOf('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>
}

describe('docker-compose.yml', () => {
  test('gives every container a limit of memory', () => {
    const unlimited = Object.entries(services).filter(([, { mem_limit }]) => mem_limit === undefined)
    expect(unlimited.map(([name]) => name)).toEqual([])
  })

  test('publishes ports on this machine only, since nothing has a password', () => {
    const ports = Object.values(services).flatMap((service) => service.ports ?? [])
    expect(ports.length).toBeGreaterThan(3)
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([])
  })

  test('runs no Kafka that skips the end markers of acknowledged transactions (KAFKA-20734)', () => {
    expect(services['kafka']?.image).toMatch(/^apache\/kafka:4\.\d+\.\d+$/)
    expect(services['kafka']?.image).not.toMatch(/:4\.3\.[01]$/)
  })

  test('lets Redis evict nothing', () => {
    expect(services['redis']?.command).toContain('--maxmemory-policy noeviction')
  })

  test('never needs to write into the image of millrace', () => {
    const own = Object.values(services).filter(({ image }) => image.startsWith('millrace:'))
    expect(own.map(({ read_only }) => read_only)).toEqual([true, true, true])
  })

  test('waits longer for the end of millrace than draining may take', async () => {
    const { limits } = await loadTopology(join(root, 'topologies', 'card-fraud.yaml'), {})
    const graceMs = Number.parseInt(services['millrace']?.stop_grace_period ?? '', 10) * 1_000
    expect(graceMs).toBeGreaterThan(limits.drainMs)
  })
})

describe('the alert rules', () => {
  const { groups } = parse(textOf('deploy/prometheus/alerts.yml')) as { groups: { rules: Rule[] }[] }
  const rules = groups.flatMap((group) => group.rules)
  const documented = new Set(
    [...textOf('docs/metrics.md').matchAll(/^\| `(millrace_\w+)`/gm)].map(([, name]) => name),
  )

  test('ask only for metrics that exist', () => {
    const asked = rules.flatMap(({ expr }) => expr.match(/millrace_\w+/g) ?? [])
    const unknown = asked.filter((name) => !documented.has(name.replace(/_(bucket|sum|count)$/, '')))
    expect(asked.length).toBeGreaterThan(5)
    expect(unknown).toEqual([])
  })

  test('have names of their own', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  })
})
