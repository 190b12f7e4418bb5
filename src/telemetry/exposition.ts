import type { Registry } from 'prom-client'

export const prometheusType = 'text/plain; version=0.0.4; charset=utf-8'
export const openMetricsType = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

export interface Exposition {
  readonly contentType: string
  readonly body: string
}

/** The registry as text, in OpenMetrics when the Accept header prefers it. */
export async function expose(registry: Registry, accept: string | undefined): Promise<Exposition> {
  const text = await registry.metrics()
  if (!prefersOpenMetrics(accept)) return { contentType: prometheusType, body: text }
  return { contentType: openMetricsType, body: toOpenMetrics(text) }
}

/** True when application/openmetrics-text has at least the weight of every text/plain the header offers. */
export function prefersOpenMetrics(accept: string | undefined): boolean {
  const weightOf = (type: string) => {
    const weights = (accept ?? '')
      .split(',')
      .map((range) => range.split(';').map((part) => part.trim().toLowerCase()))
      .filter(([name]) => name === type)
      .map((parts) => Number(parts.find((part) => part.startsWith('q='))?.slice(2) ?? 1))
    return weights.length > 0 ? Math.max(...weights) : 0
  }
  const open = weightOf('application/openmetrics-text')
  return open > 0 && open >= weightOf('text/plain')
}

/**
 * Prometheus text to OpenMetrics: counter families lose `_total` in their HELP and TYPE lines (samples keep it), no
 * blank lines, an end mark. prom-client's own OpenMetrics mode renames the counters of the registry for good, so a
 * later plain scrape would show other names.
 */
export function toOpenMetrics(prometheusText: string): string {
  const lines = prometheusText.split('\n').filter((line) => line !== '')
  const counters = new Set<string>()
  for (const line of lines) {
    const type = /^# TYPE (\S+) counter$/.exec(line)
    if (type) counters.add(type[1]!)
  }
  const converted = lines.map((line) => {
    const comment = /^# (HELP|TYPE) (\S+)(.*)$/.exec(line)
    if (!comment) return line
    const [, word, name, rest] = comment
    const family = counters.has(name!) ? name!.replace(/_total$/, '') : name!
    return `# ${word} ${family}${word === 'HELP' ? rest!.replaceAll('"', '\\"') : rest}`
  })
  return `${converted.join('\n')}\n# EOF\n`
}
