import { createDecoder } from '../../decode/decoder.ts'
import type { SourcePlan } from '../../decode/plan.ts'
import type { DescribedTopic } from '../../kafka/inspect-codec.ts'
import type { KafkaInspector } from '../../kafka/inspect.ts'
import { openRegistry } from '../../registry/registry.ts'
import type { Clock } from '../../time/clock.ts'
import type { Plan } from '../../topology/plan.ts'
import { readSample, type SourceSample } from './sample.ts'

/** Some thousand records of each source at most. */
const sampleSize = { partitionsMax: 4, oldestMax: 250, newestMax: 1_000 } as const

/**
 * Reads a sample of a source and decodes it as the service would. What the service would wait for (a registry that does not
 * answer, a schema id that nobody registered) is thrown instead.
 */
export async function sampleSource(
  { plan, clock }: { readonly plan: Plan; readonly clock: Clock },
  source: SourcePlan,
  topic: DescribedTopic,
  inspector: Pick<KafkaInspector, 'sample'>,
): Promise<SourceSample> {
  const runs = await inspector.sample(topic, sampleSize)
  const registry = plan.registryUrl === null ? null : openRegistry({ url: plan.registryUrl })
  const stop = new AbortController()
  const decoder = createDecoder(source, registry, clock, ({ error }) => stop.abort(error))
  await decoder.prepare(
    runs.flatMap(({ records }) => records),
    stop.signal,
  )
  return readSample(source, decoder, runs)
}
