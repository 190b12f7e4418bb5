export type SinkCodecPlan = { readonly kind: 'json' } | { readonly kind: 'avro'; readonly subject: string }

export interface SinkPlan {
  readonly predictions: {
    readonly topic: string
    readonly codec: SinkCodecPlan
    readonly include: { readonly features: boolean; readonly values: boolean; readonly watermarks: boolean }
  }
  readonly alerts: { readonly topic: string; readonly codec: SinkCodecPlan }
  /** `dlq.{topic}` with the input topic put in. */
  readonly deadLetterTopic: string
}
