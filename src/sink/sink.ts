import type { Reject } from '../record/event.ts'
import { headersMax, headerSize } from '../record/headers.ts'
import { batchOverheadBytes, recordBytes } from '../record/output-size.ts'
import type { OutputKind, OutputRecord } from '../record/output.ts'
import type { Alert, ModelIdentity, Prediction } from '../record/prediction.ts'
import type { Headers, RawRecord } from '../record/raw-record.ts'
import type { AvroEncoders } from './avro-encoder.ts'
import { deadLetterHeaders, modelHeaders, outputHeaders, stubHeaders } from './headers.ts'
import type { SinkPlan } from './plan.ts'
import { outputPartition } from './route.ts'

/** Objects → records with topic and partition. Pure. */
export interface Sink {
  /** A reject with reason OUTPUT when the prediction does not fit the sink's schema, or its topic. */
  prediction(prediction: Prediction, raw: RawRecord): OutputRecord | Reject
  alert(alert: Alert, raw: RawRecord): OutputRecord | Reject
  /** Always fits: where the record does not, a stub that names it. */
  deadLetter(reject: Reject, info: DeadLetterInfo): OutputRecord
}

export interface DeadLetterInfo {
  /** Wall clock, epoch ms. */
  readonly failedAtMs: number
  readonly attempts: number
}

export interface SinkSetup {
  readonly group: string
  readonly serviceVersion: string
  readonly model: ModelIdentity
  /** Partitions of the source, sink and dead-letter topics. */
  readonly partitionCounts: ReadonlyMap<string, number>
  /** What the sink and dead-letter topics take of one record batch (`max.message.bytes`); absent: anything. */
  readonly batchBytesMax?: ReadonlyMap<string, number>
  /** From `loadAvroEncoders`; `jsonOnly` when no sink writes Avro. */
  readonly encoders: AvroEncoders
}

export const jsonOnly: AvroEncoders = { predictions: null, alerts: null }

/** Constant headers and a trace. */
const smallBytes = 4 * 1024
/** A stub must fit: it keeps keys as people choose them. */
const stubKeyBytesMax = 256

type Encode<T> = (value: T) => Buffer | string

export function createSink(plan: SinkPlan, setup: SinkSetup): Sink {
  const { partitionCounts, group, serviceVersion, model } = setup
  const constantHeaders = modelHeaders(model)
  // JSON.stringify takes 1.5 µs for a prediction with 16 features; a writer made for its shape was no faster.
  const encodePrediction: Encode<Prediction> = setup.encoders.predictions ?? JSON.stringify
  const encodeAlert: Encode<Alert> = setup.encoders.alerts ?? JSON.stringify

  const output = <T>(
    kind: OutputKind,
    topic: string,
    encode: Encode<T>,
    value: T,
    raw: RawRecord,
  ): OutputRecord | Reject => {
    let encoded: Buffer | string
    try {
      encoded = encode(value)
    } catch (error) {
      const message = `the ${kind} does not fit the schema of ${topic}: ${(error as Error).message}`
      return { rejected: true, reason: 'OUTPUT', stage: 'sink', message: bounded(message), raw }
    }
    const made = record(kind, topic, raw, encoded, outputHeaders(constantHeaders, raw))
    const excess = excessOf(made)
    if (excess === null) return made
    return { rejected: true, reason: 'OUTPUT', stage: 'sink', message: `the ${kind} ${excess}`, raw }
  }

  /** What to say of a record that its topic would refuse; null: it fits. */
  const excessOf = (made: OutputRecord): string | null => {
    const bytesMax = setup.batchBytesMax?.get(made.topic) ?? Infinity
    // A character has three bytes at most: the usual output is not measured.
    const atMost = 3 * ((made.value?.length ?? 0) + (made.key?.length ?? 0)) + smallBytes
    if (atMost <= bytesMax && made.kind !== 'dead-letter') return null
    const bytes = batchOverheadBytes + recordBytes(made)
    return bytes <= bytesMax ? null : `has ${bytes} bytes, ${made.topic} takes ${bytesMax}`
  }

  const record = (
    kind: OutputKind,
    topic: string,
    raw: RawRecord,
    value: Buffer | string | null,
    headers: Headers,
  ): OutputRecord => ({
    kind,
    topic,
    partition: outputPartition(raw, topic, partitionCounts),
    key: raw.key,
    value,
    headers,
  })

  return {
    prediction: (prediction, raw) =>
      output('prediction', plan.predictions.topic, encodePrediction, prediction, raw),
    alert: (alert, raw) => output('alert', plan.alerts.topic, encodeAlert, alert, raw),
    deadLetter(reject, info) {
      const { raw } = reject
      const topic = deadLetterTopic(plan, raw.topic)
      const facts = { group, serviceVersion, model, ...info }
      if (raw.unreadable === undefined && headerSize(raw).count <= headersMax) {
        const whole = record('dead-letter', topic, raw, raw.value, deadLetterHeaders(reject, facts))
        if (excessOf(whole) === null) return whole
      }
      const stub = record('dead-letter', topic, raw, null, stubHeaders(reject, facts))
      return (stub.key?.length ?? 0) <= stubKeyBytesMax ? stub : { ...stub, key: null }
    },
  }
}

export function deadLetterTopic(plan: SinkPlan, inputTopic: string): string {
  return plan.deadLetterTopic.replaceAll('{topic}', () => inputTopic)
}

/** avsc puts the refused value into its message, and the message goes into a header. */
function bounded(message: string): string {
  return message.replace(/\s+/g, ' ').slice(0, 400).toWellFormed()
}
