import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Admin } from 'kafkajs'
import { Kafka, logLevel } from '../../src/kafka/kafkajs.ts'
import { findJava } from '../../src/stack/java.ts'
import { kafkaJars, kafkaToolArgs } from '../../src/stack/kafka-server.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { endTogether } from './end-together.ts'
import { haveReached, logEnds } from './log-ends.ts'
import { uniqueName } from './unique-name.ts'

/*
 * An independent reader: Kafka's own Java console consumer with isolation.level=read_committed decides which records
 * a consumer may see, so a mistake of kafkajs or of ours cannot hide itself. kafkajs only asks for positions here.
 */
export interface RefereeRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly headers: Readonly<Record<string, string>>
  /** As UTF-8 text; null when the record has none. */
  readonly key: string | null
  readonly value: string | null
}

/**
 * Every record of `topic` that a read_committed consumer sees, by partition and offset: up to what was in the log when
 * this was called, or up to a transaction that stays open. Takes about two seconds (a JVM starts). Texts with control
 * characters are not told apart from separators; JSON has none. As `bytes`, what is not printable ASCII is written as \xNN.
 */
export async function readCommitted(
  brokers: readonly string[],
  topic: string,
  as: 'text' | 'bytes' = 'text',
): Promise<RefereeRecord[]> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    const logs = await admin.fetchTopicOffsets(topic)
    const ends = await stableEnds(admin, topic)
    const filled = logs.filter(({ partition, low }) => (ends.get(partition) ?? 0n) > BigInt(low))
    if (filled.length === 0) return []
    const group = uniqueName('referee')
    const isRead = (): Promise<boolean> => hasReached(admin, group, topic, filled, ends)
    const output = await consume(brokers, topic, group, formats[as], isRead)
    await admin.deleteGroups([group]).catch(() => undefined) // only tidiness: brokers forget it in a week
    const records = parseRecords(topic, output).filter(
      ({ partition, offset }) => BigInt(offset) < (ends.get(partition) ?? 0n),
    )
    return onceEach(records).toSorted((a, b) => a.partition - b.partition || a.offset - b.offset)
  } finally {
    await admin.disconnect()
  }
}

/** A broker acknowledges a commit before it writes the markers that end the transaction in each partition. */
const markersMaxMs = 3_000

async function stableEnds(admin: Admin, topic: string): Promise<Map<number, bigint>> {
  const written = await logEnds(admin, topic, 'written')
  const giveUpAt = systemClock.monotonic() + markersMaxMs
  for (;;) {
    const ends = await logEnds(admin, topic, 'stable')
    if (haveReached(ends, written) || systemClock.monotonic() > giveUpAt) return ends
    await systemClock.sleep(pollEveryMs)
  }
}

/** A consumer whose group moved to another coordinator goes on from its last commit, and prints some records again. */
function onceEach(records: readonly RefereeRecord[]): RefereeRecord[] {
  return [...new Map(records.map((record) => [`${record.partition}:${record.offset}`, record])).values()]
}

/**
 * The consumer commits its positions as it polls. A position also moves over aborted records and transaction markers,
 * which are never printed, and it is committed only after the records before it were printed.
 */
async function hasReached(
  admin: Admin,
  group: string,
  topic: string,
  partitions: readonly { readonly partition: number }[],
  ends: ReadonlyMap<number, bigint>,
): Promise<boolean> {
  const fetched = admin.fetchOffsets({ groupId: group, topics: [topic] })
  const [committed] = await fetched.catch((error: unknown) => {
    if ((error as { retriable?: boolean }).retriable) return [] // the coordinator is still loading
    throw error
  })
  const positions = new Map(committed?.partitions.map(({ partition, offset }) => [partition, BigInt(offset)]))
  return partitions.every(({ partition }) => (positions.get(partition) ?? -1n) >= (ends.get(partition) ?? 0n))
}

const pollEveryMs = 50
const readMaxMs = 180_000

/** Runs the console consumer until `isRead`, and returns all it printed. */
async function consume(
  brokers: readonly string[],
  topic: string,
  group: string,
  format: readonly string[],
  isRead: () => Promise<boolean>,
): Promise<string> {
  const jars = await kafkaJars(() => {})
  const args = kafkaToolArgs(jars, 'org.apache.kafka.tools.consumer.ConsoleConsumer', [
    ...`--bootstrap-server ${brokers.join(',')} --topic ${topic} --group ${group} --from-beginning`.split(
      ' ',
    ),
    ...'--isolation-level read_committed --command-property auto.commit.interval.ms=50'.split(' '),
    ...format,
  ])
  const reader = spawn(await findJava(), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  endTogether(reader)
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  reader.stdout.on('data', (chunk: Buffer) => chunks.stdout.push(chunk))
  reader.stderr.on('data', (chunk: Buffer) => chunks.stderr.push(chunk))
  const closed = once(reader, 'close')
  try {
    await until(isRead, reader, () => Buffer.concat(chunks.stderr).toString())
  } finally {
    reader.kill('SIGTERM') // it leaves the group and flushes what it printed
    await closed
  }
  return Buffer.concat(chunks.stdout).toString()
}

async function until(
  isRead: () => Promise<boolean>,
  reader: ChildProcess,
  problems: () => string,
): Promise<void> {
  const giveUpAt = systemClock.monotonic() + readMaxMs
  while (!(await isRead())) {
    const end = reader.exitCode ?? reader.signalCode
    if (end !== null) throw new Error(`The referee's reader ended early with ${end}: ${problems()}`)
    if (systemClock.monotonic() > giveUpAt)
      throw new Error(`The referee did not reach the end: ${problems()}`)
    await systemClock.sleep(pollEveryMs)
  }
}

// --- what the console consumer prints ------------------------------------------------------------------------------

const separators = { field: '\u0001', line: '\u0002', header: '\u0003', none: '\u0004' }

const formatterProperties = {
  'print.timestamp': 'true',
  'print.partition': 'true',
  'print.offset': 'true',
  'print.headers': 'true',
  'print.key': 'true',
  'print.value': 'true',
  'key.separator': separators.field,
  'line.separator': separators.line,
  'headers.separator': separators.header,
  'null.literal': separators.none,
}

const asBytes = 'org.apache.kafka.common.serialization.BytesDeserializer'
const formats = {
  text: properties(formatterProperties),
  bytes: properties({ ...formatterProperties, 'key.deserializer': asBytes, 'value.deserializer': asBytes }),
}

function properties(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => ['--formatter-property', `${name}=${value}`])
}

/** Lines of timestamp, partition, offset, headers, key and value. */
export function parseRecords(topic: string, output: string): RefereeRecord[] {
  const lines = output.split(separators.line).filter((line) => line !== '')
  return lines.map((line) => {
    const [timestamp = '', partition = '', offset = '', headers = '', key = '', value = ''] = line.split(
      separators.field,
    )
    return {
      topic,
      partition: numberAfterColon(partition),
      offset: numberAfterColon(offset),
      timestamp: numberAfterColon(timestamp),
      headers: parseHeaders(headers),
      key: key === separators.none ? null : key,
      value: value === separators.none ? null : value,
    }
  })
}

/** 17 from 'CreateTime:17', 'Partition:17' and 'Offset:17'. */
function numberAfterColon(text: string): number {
  return Number(text.slice(text.indexOf(':') + 1))
}

function parseHeaders(text: string): Record<string, string> {
  if (text === 'NO_HEADERS') return {}
  const pairs = text.split(separators.header).map((pair): [string, string] => {
    const colon = pair.indexOf(':')
    return [pair.slice(0, colon), pair.slice(colon + 1)]
  })
  return Object.fromEntries(pairs)
}
