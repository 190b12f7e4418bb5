import { onTestFinished } from 'vitest'
import type { KafkaClient } from '../../src/kafka/client.ts'
import type { RawRecord } from '../../src/record/raw-record.ts'
import { openKafkaSource } from '../../src/source/kafka-source.ts'
import type { KafkaSourceOptions } from '../../src/source/kafka-source.ts'
import type { InputStream, Source } from '../../src/source/source.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { silentLog } from './kafka-client.ts'

export const never = new AbortController().signal

/** A started source whose assignments and revocations a test can wait for. */
export interface SourceProbe {
  readonly source: Source
  /** The streams of the next assignment that nobody has waited for yet. */
  assignment(): Promise<readonly InputStream[]>
  /** What `revoking` does; the default returns at once. */
  onRevoking: () => Promise<void>
  readonly revocations: number
  readonly crashes: readonly unknown[]
}

export async function startSource(
  client: KafkaClient,
  topics: readonly string[],
  options: Partial<KafkaSourceOptions> = {},
): Promise<SourceProbe> {
  const source = openKafkaSource({
    client,
    plan: client.plan,
    topics: topics.map((topic) => ({ source: `source of ${topic}`, topic })),
    options: { heartbeatIntervalMs: 200, ...options },
    clock: systemClock,
    log: silentLog,
  })
  onTestFinished(() => source.stop())
  const arrived: (readonly InputStream[])[] = []
  const wanted: ((streams: readonly InputStream[]) => void)[] = []
  const crashes: unknown[] = []
  const probe = {
    source,
    assignment: async () =>
      arrived.shift() ?? new Promise<readonly InputStream[]>((resolve) => wanted.push(resolve)),
    onRevoking: async (): Promise<void> => {},
    revocations: 0,
    crashes,
  }
  await source.start({
    assigned: (streams) => {
      const waiting = wanted.shift()
      if (waiting) waiting(streams)
      else arrived.push(streams)
    },
    revoking: () => {
      probe.revocations++
      return probe.onRevoking()
    },
    crashed: (error) => void crashes.push(error),
  })
  return probe
}

/** Takes until `count` records have come. */
export async function takeRecords(stream: InputStream, count: number, signal = never): Promise<RawRecord[]> {
  const records: RawRecord[] = []
  while (records.length < count) records.push(...(await stream.take(count - records.length, signal)).records)
  return records
}

/** Takes until the position is at least `offset`; returns what came on the way. */
export async function takeUntil(stream: InputStream, offset: number): Promise<RawRecord[]> {
  const records: RawRecord[] = []
  while (stream.position < offset) records.push(...(await stream.take(1_000, never)).records)
  return records
}

export function valuesOf(records: readonly RawRecord[]): (string | undefined)[] {
  return records.map(({ value }) => value?.toString())
}
