export interface ModelPlan {
  /** Absolute path: a directory with manifest.yaml, or a bare .onnx file. */
  readonly path: string
  /** ONNX input name → feature names in order. */
  readonly inputs: readonly ModelInputPlan[]
  /** `probabilities[:, 1]` compiled: output name and column (null: the output has one value a row). */
  readonly score: { readonly output: string; readonly column: number | null }
  readonly onMissing: 'dead-letter'
  readonly workers: number
  /** Where the sessions live. */
  readonly isolation: 'thread' | 'process'
  readonly runTimeoutMs: number
  /** Hash of input names, order and definitions; compared with the manifest's. */
  readonly vectorHash: string
  /** Hash of each input's definition by name: which of them another vector hash comes from. */
  readonly definitions: Readonly<Record<string, string>>
}

export interface ModelInputPlan {
  readonly name: string
  readonly features: readonly string[]
}
