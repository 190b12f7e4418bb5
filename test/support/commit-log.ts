import { parseMetadata } from '../../src/pipeline/metadata.ts'
import type { Position } from './card-world.ts'
import { placeOf } from './evidence.ts'
import { readCommitted } from './referee.ts'

/** One offset commit of a group, in the order of Kafka's own log of them. */
export interface Commit {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly metadata: string
}

/** All commits of `group` that are part of committed transactions, from `__consumer_offsets`. */
export async function readCommits(brokers: readonly string[], group: string): Promise<Commit[]> {
  const records = await readCommitted(brokers, '__consumer_offsets', 'bytes')
  return records
    .filter(({ key }) => key?.includes(group) === true)
    .flatMap(({ key, value }) =>
      commitOf(unescaped(key ?? ''), value === null ? null : unescaped(value), group),
    )
}

/** `Bytes.toString` of the Java client writes what is not printable as \xNN. */
function unescaped(text: string): Buffer {
  return Buffer.from(
    text.replaceAll(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  )
}

/** Keys of version 0 and 1 are offset commits; others describe groups. */
const lastKeyVersion = 1
/** Values have compact strings from this version on. */
const firstCompact = 4

/** See OffsetCommitKey.json and OffsetCommitValue.json of Kafka. A value of null forgets an offset. */
function commitOf(key: Buffer, value: Buffer | null, wanted: string): Commit[] {
  if (key.readInt16BE(0) > lastKeyVersion || value === null) return []
  const group = text16(key, 2)
  const topic = text16(key, group.end)
  if (group.text !== wanted) return []
  const partition = key.readInt32BE(topic.end)
  const version = value.readInt16BE(0)
  const metadataAt = 2 + 8 + 4 // version, offset, leader epoch
  const metadata = version >= firstCompact ? compact(value, metadataAt) : text16(value, metadataAt).text
  return [{ topic: topic.text, partition, offset: Number(value.readBigInt64BE(2)), metadata }]
}

function text16(bytes: Buffer, at: number): { text: string; end: number } {
  const end = at + 2 + bytes.readInt16BE(at)
  return { text: bytes.toString('utf8', at + 2, end), end }
}

/** Its length plus one as an unsigned varint, then UTF-8. */
function compact(bytes: Buffer, at: number): string {
  let length = 0
  let next = at
  for (let shift = 0; ; shift += 7) {
    const byte = bytes.readUInt8(next++)
    length |= (byte & 0x7f) << shift
    if (byte < 0x80) return bytes.toString('utf8', next, next + length - 1)
  }
}

/**
 * I4: an input's committed offset never goes back, every commit names its own offset, and nothing begins a new
 * incarnation; `positions` is what the group has committed in the end, which the log must end with.
 */
export function commitProblems(commits: readonly Commit[], positions: readonly Position[]): string[] {
  const last = new Map<string, { readonly offset: number; readonly incarnation: string }>()
  const problems = commits.flatMap((commit) => {
    const metadata = parseMetadata(commit.metadata)
    const place = placeOf(commit)
    if (metadata === null || metadata.offset !== commit.offset)
      return [`I4: ${place} has a commit of ${commit.offset} with metadata of ${metadata?.offset}`]
    const { incarnation } = metadata
    const before = last.get(place) ?? { offset: -1, incarnation }
    last.set(place, { offset: commit.offset, incarnation })
    if (incarnation !== before.incarnation)
      return [
        `I4: ${place} has incarnation ${incarnation} at ${commit.offset}, before it ${before.incarnation}`,
      ]
    return commit.offset < before.offset
      ? [`I4: ${place} went back from ${before.offset} to ${commit.offset}`]
      : []
  })
  for (const position of positions) {
    const place = placeOf(position)
    if (last.get(place)?.offset !== position.offset)
      problems.push(`I4: ${place} is at ${position.offset}, its commits end with ${last.get(place)?.offset}`)
  }
  return problems
}
