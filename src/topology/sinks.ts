import type { SourceOptions } from '../decode/options.ts'
import type { SinkOptions } from '../sink/options.ts'
import type { SinkCodecPlan, SinkPlan } from '../sink/plan.ts'
import type { Sections } from './check-shape.ts'
import type { TopologyDocument } from './document.ts'

export function compileSinks({ predictions, alerts, deadLetters }: SinkOptions): SinkPlan {
  const has = (part: 'features' | 'values' | 'watermarks'): boolean => predictions.include.includes(part)
  return {
    predictions: {
      topic: predictions.topic,
      codec: codecPlan(predictions.codec),
      include: { features: has('features'), values: has('values'), watermarks: has('watermarks') },
    },
    alerts: { topic: alerts.topic, codec: codecPlan(alerts.codec) },
    deadLetterTopic: deadLetters.topic,
  }
}

function codecPlan(codec: SinkOptions['alerts']['codec']): SinkCodecPlan {
  return codec === 'json' ? { kind: 'json' } : { kind: 'avro', subject: codec.avro.subject }
}

function isFramed({ json }: Extract<SourceOptions['codec'], { readonly json: unknown }>): boolean {
  return typeof json === 'object' && json.framing === 'registry'
}

/** No output feeds an input, and a registry is named where one is needed. */
export function checkSinks(
  document: TopologyDocument,
  { sinks, sources, registry }: Sections,
  inputs: readonly { readonly name: string; readonly topic: string }[],
): void {
  const asking = [
    ...Object.entries(sources ?? {}).map(([name, { codec }]) => ({
      path: ['sources', name, 'codec'],
      what: 'avro' in codec ? 'avro' : isFramed(codec) ? 'framing: registry' : null,
    })),
    ...(['predictions', 'alerts'] as const).map((name) => ({
      path: ['sinks', name, 'codec'],
      what: typeof sinks?.[name]?.codec === 'object' ? 'avro' : null,
    })),
  ]
  if (registry?.url === '') {
    for (const { path, what } of asking)
      if (what !== null)
        document.add(path, `${what} needs a schema registry.`, 'Add registry: with url: http://….')
  }
  if (sinks === null) return
  const { predictions, alerts, deadLetters } = sinks
  const outputs: [path: string[], topics: (string | undefined)[]][] = [
    [['sinks', 'predictions', 'topic'], [predictions?.topic]],
    [['sinks', 'alerts', 'topic'], [alerts?.topic]],
    [
      ['sinks', 'deadLetters', 'topic'],
      inputs.map(({ topic }) => deadLetters?.topic.replaceAll('{topic}', topic)),
    ],
  ]
  for (const [path, topics] of outputs) {
    const fed = inputs.find(({ topic }) => topics.includes(topic))
    if (fed === undefined) continue
    document.add(
      path,
      `${fed.topic} is read by source ${fed.name}: outputs would come back as inputs.`,
      'Name another topic.',
    )
  }
}
