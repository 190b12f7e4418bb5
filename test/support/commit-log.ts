import { parseMetadata } from '../../src/pipeline/metadata.ts'
import { placeOf } from './evidence.ts'
import { printCommitted } from './referee.ts'

/** One offset commit of a group, in the order of Kafka's own log of them. */
export interface Commit {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string
}

const format = ['--formatter', 'org.apache.kafka.tools.consumer.OffsetsMessageFormatter']

/** All commits of `group` that are part of committed transactions, from `__consumer_offsets`. */
export async function readCommits(brokers: readonly string[], group: string): Promise<Commit[]> {
  const { output } = await printCommitted(brokers, '__consumer_offsets', format)
  const mark = JSON.stringify(group)
  return output
    .replaceAll('}{"key":', '}\n{"key":') // inside of texts quotes are escaped
    .split('\n')
    .filter((line) => line.includes(mark))
    .flatMap((line) => commitOf(line, group))
}

interface Printed {
  readonly key?: { type: string; data: { group: string; topic: string; partition: number } }
  readonly value?: { data: { offset: number; metadata: string } } | null
}

function commitOf(line: string, wanted: string): Commit[] {
  const { key, value } = JSON.parse(line) as Printed
  if (key?.type !== 'offset-commit' || key.data.group !== wanted || !value) return []
  const { topic, partition } = key.data
  return [{ topic, partition, offset: value.data.offset, metadata: value.data.metadata }]
}

/** I4: an input's committed offset never goes back within an incarnation, and every commit names its own offset. */
export function commitProblems(commits: readonly Commit[]): string[] {
  const last = new Map<string, number>()
  return commits.flatMap((commit) => {
    const metadata = parseMetadata(commit.metadata)
    const place = placeOf(commit)
    if (metadata === null || metadata.offset !== commit.offset)
      return [`I4: ${place} has a commit of ${commit.offset} with metadata of ${metadata?.offset}`]
    const life = `${place}|${metadata.incarnation}`
    const before = last.get(life) ?? -1
    last.set(life, commit.offset)
    return commit.offset < before
      ? [`I4: ${place} went back from ${before} to ${commit.offset} (incarnation ${metadata.incarnation})`]
      : []
  })
}
