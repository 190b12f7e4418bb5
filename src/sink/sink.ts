import { MillraceError } from '../errors.ts'
import type { Reject } from '../record/event.ts'
import { headersMax, headerSize } from '../record/headers.ts'
import { inputName } from '../record/input.ts'
import type { OutputKind, OutputRecord } from '../record/output.ts'
import type { Alert, ModelIdentity, Prediction } from '../record/prediction.ts'
import type { Headers, RawRecord } from '../record/raw-record.ts'
import { aloneBytes, defaultBatchBytesMax, valueBytesOf } from '../record/size.ts'
import type { AvroEncoders } from './avro-encoder.ts'
import { deadLetterHeaders, modelHeaders, outputHeaders, stubHeaders } from './headers.ts'
import type { SinkPlan } from './plan.ts'
import { createPredictionText } from './prediction-text.ts'
import { outputPartition } from './route.ts'

/** Objects → records with topic and partition. Pure. */
export interface Sink {
  /** A reject with reason OUTPUT when the prediction does not fit the sink's schema, or is larger than its topic takes. */
  prediction(prediction: Prediction, raw: RawRecord): OutputRecord | Reject
  alert(alert: Alert, raw: RawRecord): OutputRecord | Reject
  /** A stub when its topic would refuse all of it. Throws KAFKA_RECORD_TOO_LARGE when not even that fits. */
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
  /** Largest record batch each of them takes. */
  readonly bytesMax: ReadonlyMap<string, number>
  /** From `loadAvroEncoders`; `jsonOnly` when no sink writes Avro. */
  readonly encoders: AvroEncoders
}

export const jsonOnly: AvroEncoders = { predictions: null, alerts: null }

/** A key up to this many bytes stays in a stub: tools join letters by it. */
const stubKeyBytesMax = 1024

type Encode<T> = (value: T) => Buffer | string

export function createSink(plan: SinkPlan, setup: SinkSetup): Sink {
  const { partitionCounts, bytesMax, group, serviceVersion, model } = setup
  const constantHeaders = modelHeaders(model)
  const encodePrediction: Encode<Prediction> = setup.encoders.predictions ?? createPredictionText()
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
    const bytes = aloneBytes(made)
    const max = bytesMaxOf(topic)
    if (bytes <= max) return made
    const message = `the ${kind} takes ${bytes} bytes, ${topic} takes at most ${max} (max.message.bytes)`
    return { rejected: true, reason: 'OUTPUT', stage: 'sink', message, raw }
  }

  const bytesMaxOf = (topic: string): number => bytesMax.get(topic) ?? defaultBatchBytesMax

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
    valueBytes: valueBytesOf({ value }),
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
      const max = bytesMaxOf(topic)
      if (raw.unreadable === undefined && headerSize(raw).count <= headersMax) {
        const letter = record('dead-letter', topic, raw, raw.value, deadLetterHeaders(reject, facts))
        if (aloneBytes(letter) <= max) return letter
      }
      const whole = record('dead-letter', topic, raw, null, stubHeaders(reject, facts))
      const stub = (raw.key?.length ?? 0) <= stubKeyBytesMax ? whole : { ...whole, key: null }
      const bytes = aloneBytes(stub)
      if (bytes <= max) return stub
      throw new MillraceError(
        'KAFKA_RECORD_TOO_LARGE',
        `${inputName(raw)} offset ${raw.offset} is to become a dead letter (${reject.reason}); what says so takes ${bytes} bytes, and ${topic} takes at most ${max}`,
      )
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
