export type SinkCodecPlan = { readonly kind: 'json' } | { readonly kind: 'avro'; readonly subject: string }

export interface SinkPlan {
  readonly predictions: {
    readonly topic: string
    readonly codec: SinkCodecPlan
    readonly include: { readonly features: boolean; readonly values: boolean; readonly watermarks: boolean }
  }
  readonly alerts: { readonly topic: string; readonly codec: SinkCodecPlan }
  /** Pattern such as `dlq.{topic}`; `{topic}` stands for the topic of the record. */
  readonly deadLetterTopic: string
}
