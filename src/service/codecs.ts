import { createDecoder, type Decoder } from '../decode/decoder.ts'
import type { SourcePlan } from '../decode/plan.ts'
import { MillraceError } from '../errors.ts'
import type { Outlet } from '../pipeline/partition-context.ts'
import type { ModelIdentity } from '../record/prediction.ts'
import { openRegistry, type Registry } from '../registry/registry.ts'
import { loadAvroEncoders } from '../sink/avro-encoder.ts'
import { createSink, type SinkSetup } from '../sink/sink.ts'
import type { Log } from '../telemetry/log.ts'
import type { Clock } from '../time/clock.ts'
import type { Plan } from '../topology/plan.ts'
import { version } from '../version.ts'

export interface CodecParts {
  readonly plan: Plan
  readonly clock: Clock
  readonly log: Log
}

/** One decoder per source, by name. */
export function openDecoders({
  plan,
  clock,
  log,
}: CodecParts): ReadonlyMap<string, { readonly source: SourcePlan; readonly decoder: Decoder }> {
  const registry = registryOf(plan)
  return new Map(
    plan.sources.map((source) => {
      const decoder = createDecoder(source, registry, clock, (wait) =>
        log.warn({ source: source.name, ...wait }, 'waiting for the schema registry'),
      )
      return [source.name, { source, decoder }]
    }),
  )
}

/** Where predictions, alerts and dead letters get their bytes, topic and partition. */
export async function openOutlet(
  { plan, clock, log }: CodecParts,
  { partitionCounts, batchBytesMax }: Pick<SinkSetup, 'partitionCounts' | 'batchBytesMax'>,
  model: ModelIdentity,
  signal: AbortSignal,
): Promise<Outlet> {
  const sink = createSink(plan.sinks, {
    group: plan.kafka.group,
    serviceVersion: version,
    model,
    partitionCounts,
    ...(batchBytesMax && { batchBytesMax }),
    encoders: await waitForRegistry({ plan, clock, log }, signal, () =>
      loadAvroEncoders(plan.sinks, registryOf(plan), signal),
    ),
  })
  return {
    prediction: (prediction, raw) => sink.prediction(prediction, raw),
    alert: (alert, raw) => sink.alert(alert, raw),
    deadLetter: (reject, attempts) => sink.deadLetter(reject, { failedAtMs: clock.now(), attempts }),
  }
}

const registryRetryMs = 500

/** At start a registry that does not answer is waited for, as Kafka and Redis are. */
async function waitForRegistry<T>(
  { plan, clock, log }: CodecParts,
  signal: AbortSignal,
  ask: () => Promise<T>,
): Promise<T> {
  const giveUpAt = clock.monotonic() + plan.limits.startWaitMs
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      const unreachable = error instanceof MillraceError && error.code === 'REGISTRY_UNREACHABLE'
      if (!unreachable || clock.monotonic() >= giveUpAt) throw error
      log.warn({ code: error.code, error: error.message }, 'waiting for the schema registry')
      await clock.sleep(registryRetryMs, signal)
    }
  }
}

function registryOf(plan: Plan): Registry | null {
  return plan.registryUrl === null ? null : openRegistry({ url: plan.registryUrl })
}
