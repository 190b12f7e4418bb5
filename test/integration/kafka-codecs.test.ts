import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { openTransactionPort } from '../../src/commit/kafka-transaction.ts'
import { compressions } from '../../src/kafka/codecs.ts'
import type { OutputRecord } from '../../src/record/output.ts'
import { findJava } from '../../src/stack/java.ts'
import { kafkaJars, kafkaToolArgs } from '../../src/stack/kafka-server.ts'
import { systemClock } from '../../src/time/system-clock.ts'
import { silentLog, testClient, testPlan, testTopic } from '../support/kafka-client.ts'
import { readCommitted } from '../support/referee.ts'
import { never, startSource, takeRecords, valuesOf } from '../support/source-probe.ts'

const codecs = compressions.filter((name) => name !== 'none')

/** Values that compress well, and enough of them (300 kB) for several blocks in each of the formats. */
const values = Array.from({ length: 1_000 }, (_, index) => `{"index":${index},"text":"${'abc '.repeat(70)}"}`)

/** Kafka's own console producer, in Java. */
async function produceInJava(brokers: readonly string[], topic: string, codec: string): Promise<void> {
  const args = kafkaToolArgs(await kafkaJars(() => {}), 'org.apache.kafka.tools.ConsoleProducer', [
    ...`--bootstrap-server ${brokers.join(',')} --topic ${topic} --compression-codec ${codec}`.split(' '),
    // Waits for a batch to fill, so that compressed batches hold many records.
    ...'--command-property linger.ms=200 --command-property batch.size=200000'.split(' '),
  ])
  const producer = spawn(await findJava(), args, { stdio: ['pipe', 'ignore', 'pipe'] })
  const problems: Buffer[] = []
  producer.stderr.on('data', (chunk: Buffer) => problems.push(chunk))
  producer.stdin.end(values.join('\n') + '\n')
  const [code] = (await once(producer, 'close')) as [number | null]
  if (code !== 0)
    throw new Error(`the console producer ended with ${code}: ${Buffer.concat(problems).toString()}`)
}

test('what Java compresses, the source reads: all four codecs', async () => {
  const client = testClient(testPlan())
  const topics = new Map<string, string>()
  for (const codec of codecs) topics.set(await testTopic(client), codec)
  for (const [topic, codec] of topics) await produceInJava(client.plan.brokers, topic, codec)
  const probe = await startSource(client, [...topics.keys()])
  for (const stream of await probe.assignment()) {
    stream.seek(0)
    const read = valuesOf(await takeRecords(stream, values.length))
    expect(read, topics.get(stream.input.topic)).toEqual(values)
  }
})

/** Every kind of output: with and without key, value and headers, as bytes and as text of any language. */
function outputOf(topic: string, partition: number, index: number): OutputRecord {
  const text = values[index]!
  const value = [text, Buffer.from(text), `${text} – ü 🚆`, null][index % 4]!
  const key = index % 3 === 0 ? null : Buffer.from(`key ${index}`)
  const headers = [undefined, constantHeaders, [...constantHeaders, ['index', String(index)] as const]][
    index % 3
  ]
  return { kind: 'prediction', topic, partition, key, value, headers }
}
const constantHeaders = Object.freeze([
  ['model', Buffer.from('ü')],
  ['empty', ''],
] as const)

test('what we write, Java reads: uncompressed, and all four codecs', async () => {
  const client = testClient(testPlan())
  const topic = await testTopic(client)
  const out = await testTopic(client, compressions.length)
  for (const [partition, compression] of compressions.entries()) {
    const port = openTransactionPort({
      client,
      app: compression,
      clock: systemClock,
      log: silentLog,
      compression,
    })
    const claim = await port.claim({ source: 's', topic, partition: 0 }, never)
    const outputs = values.map((_, index) => outputOf(out, partition, index))
    await claim.run(outputs, { offset: 1, metadata: '' })
    await claim.close()
  }
  const read = await readCommitted(client.plan.brokers, out)
  for (const [partition, codec] of compressions.entries()) {
    const ours = read.filter((record) => record.partition === partition)
    const written = values.map((_, index) => outputOf(out, partition, index))
    expect(
      ours.map(({ key, value, headers }) => ({ key, value, headers })),
      codec,
    ).toEqual(
      written.map(({ key, value, headers = [] }) => ({
        key: key?.toString() ?? null,
        value: value?.toString() ?? null,
        headers: Object.fromEntries(headers.map(([name, text]) => [String(name), String(text)])),
      })),
    )
  }
})
