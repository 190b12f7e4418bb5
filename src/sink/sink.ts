import type { Reject } from '../record/event.ts'
import type { OutputKind, OutputRecord } from '../record/output.ts'
import type { Alert, ModelIdentity, Prediction } from '../record/prediction.ts'
import type { Headers, RawRecord } from '../record/raw-record.ts'
import type { AvroEncoders } from './avro-encoder.ts'
import { deadLetterHeaders, modelHeaders, outputHeaders } from './headers.ts'
import type { SinkPlan } from './plan.ts'
import { outputPartition } from './route.ts'

/** Objects → records with topic and partition. Pure. */
export interface Sink {
  /** A reject with reason OUTPUT when the prediction does not fit the sink's schema. */
  prediction(prediction: Prediction, raw: RawRecord): OutputRecord | Reject
  alert(alert: Alert, raw: RawRecord): OutputRecord | Reject
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
  /** From `loadAvroEncoders`; `jsonOnly` when no sink writes Avro. */
  readonly encoders: AvroEncoders
}

export const jsonOnly: AvroEncoders = { predictions: null, alerts: null }

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
    return record(kind, topic, raw, encoded, outputHeaders(constantHeaders, raw))
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
      const headers = deadLetterHeaders(reject, { group, serviceVersion, model, ...info })
      return record('dead-letter', deadLetterTopic(plan, raw.topic), raw, raw.value, headers)
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
