import { MillraceError } from '../../src/errors.ts'
import type { TopicPort } from '../../src/pipeline/topic-life.ts'
import { inputName, type InputPartition } from '../../src/record/input.ts'
import type { Host } from './host.ts'
import type { Kafka } from './kafka.ts'
import type { Wire } from './wire.ts'

export interface TopicPortParts {
  readonly wire: Wire
  readonly host: Host
  readonly kafka: Kafka
  readonly inputs: readonly InputPartition[]
  /** False: the brokers tell no ids. */
  readonly ids: boolean
}

/** Topics as the cluster tells them; the sources of a run keep their number of partitions. */
export function simulatedTopics({ wire, host, kafka, inputs, ids }: TopicPortParts): TopicPort {
  const byTopic = Map.groupBy(inputs, ({ topic }) => topic)
  const ask = <T>(what: string, effect: () => T, signal: AbortSignal): Promise<T> => {
    const unanswered = (): Error => new MillraceError('KAFKA_UNREACHABLE', `asking for ${what}`)
    return wire.call({ host, what, effect, signal, unanswered })
  }
  const idOf = (topic: string): string | null => (ids ? kafka.topicId(topic) : null)
  return {
    look: (signal) =>
      ask(
        'topics',
        () =>
          new Map([...byTopic].map(([topic, list]) => [topic, { id: idOf(topic), partitions: list.length }])),
        signal,
      ),
    agreedId: (topic, signal) => ask(`id of ${topic}`, () => idOf(topic), signal),
    positions: (topic, signal) =>
      ask(
        `positions of ${topic}`,
        () => {
          const found = (byTopic.get(topic) ?? []).flatMap((input) => {
            const position = kafka.committed(inputName(input))
            return position === null ? [] : [[input.partition, position] as const]
          })
          return new Map(found)
        },
        signal,
      ),
    logEnd: (topic, partition, signal) =>
      ask(`end of ${topic}:${partition}`, () => kafka.range(inputName({ topic, partition })).end, signal),
    logEnds: (names, signal) =>
      ask('ends of logs', () => new Map(names.map((name) => [name, kafka.range(name).end])), signal),
    watch: () => () => undefined,
  }
}
