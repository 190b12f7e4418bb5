/** What the main thread and a model thread say to each other. Only plain data: it is cloned or transferred. */

/** Given to a thread when it starts. */
export interface ThreadStart {
  readonly model: Uint8Array
  readonly externalData: readonly ExternalData[]
}

export interface ExternalData {
  /** Location as written in the model. */
  readonly path: string
  readonly data: Uint8Array
}

/** An input or output as the session describes it. */
export interface ModelValue {
  readonly name: string
  /** Element type (`float32`, `int64`, …); null: not a tensor (sequence or map). */
  readonly type: string | null
  /** A number is fixed, text is free; empty: the model does not say. */
  readonly shape: readonly (number | string)[]
}

/** How rows become input tensors and an output tensor becomes scores. */
export interface Binding {
  /** In the order in which their columns stand in a row. */
  readonly inputs: readonly BoundInput[]
  readonly output: string
  /** Column of a [N, C] output; null: one value a row. */
  readonly column: number | null
}

export interface BoundInput {
  readonly name: string
  readonly columns: number
  /** 1: the tensor is [N], only for one column; 2: [N, columns]. */
  readonly rank: 1 | 2
}

export type ToThread =
  | { readonly kind: 'bind'; readonly binding: Binding }
  | { readonly kind: 'run'; readonly rows: Float32Array<ArrayBuffer>; readonly n: number }
  | { readonly kind: 'close' }

export type FromThread =
  | {
      readonly kind: 'opened'
      readonly inputs: readonly ModelValue[]
      readonly outputs: readonly ModelValue[]
    }
  | { readonly kind: 'refused'; readonly message: string }
  | RunReply

export type RunReply = RunScored | RunFailed

export interface RunScored {
  readonly kind: 'scored'
  readonly scores: Float64Array<ArrayBuffer>
  /** Time inside the session, ms. */
  readonly runMs: number
}

export interface RunFailed {
  readonly kind: 'failed'
  /**
   * `threw`: the session did; `shape`: the output is not one score a row; `not-finite`: a score is NaN or infinite; `lost`:
   * the model's process ended or had to be ended.
   */
  readonly why: 'threw' | 'shape' | 'not-finite' | 'lost'
  readonly message: string
  /** Of the output, where its shape is why. */
  readonly dims?: readonly number[]
}
