import type { BoundInput, RunFailed } from './protocol.ts'

/** Columns `from` … `from + columns` of n rows of `width`, as an array of their own. */
export function takeColumns(
  rows: Float32Array,
  n: number,
  width: number,
  from: number,
  columns: number,
): Float32Array<ArrayBuffer> {
  const taken = new Float32Array(n * columns)
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < columns; column++) {
      taken[row * columns + column] = rows[row * width + from + column]!
    }
  }
  return taken
}

export function dimensionsOf(input: BoundInput, n: number): number[] {
  return input.rank === 1 ? [n] : [n, input.columns]
}

export interface OutputTensor {
  readonly dims: readonly number[]
  readonly type: string
  readonly data: ArrayLike<unknown>
}

/** The scores of n rows from an output [N], [N, 1] or, with a column, [N, C]; all finite, or what is wrong. */
export function pickScores(
  output: OutputTensor,
  n: number,
  column: number | null,
): Float64Array<ArrayBuffer> | RunFailed {
  const { dims, type, data } = output
  if (type !== 'float32' && type !== 'float64')
    return shapeFailure(`has type ${type}, not float32 or float64`, dims)
  const stride = dims.length === 1 ? 1 : dims.length === 2 ? dims[1]! : 0
  const wanted = column === null ? `[${n}] or [${n}, 1]` : `[${n}, at least ${column + 1}]`
  const fits = dims[0] === n && (column === null ? stride === 1 : dims.length === 2 && column < stride)
  if (!fits) return shapeFailure(`has shape [${dims.join(', ')}] for ${n} rows, expected ${wanted}`, dims)
  const values = data as Float32Array | Float64Array // by its type, checked above
  const scores = new Float64Array(n)
  let finite = true
  for (let row = 0; row < n; row++) {
    const score = values[row * stride + (column ?? 0)]!
    scores[row] = score
    finite &&= Number.isFinite(score)
  }
  return finite ? scores : notFinite(scores)
}

function shapeFailure(text: string, dims: readonly number[]): RunFailed {
  return { kind: 'failed', why: 'shape', message: `the output ${text}`, dims }
}

const rowsNamedMax = 5 // enough to look at; the caller bisects anyway

function notFinite(scores: Float64Array): RunFailed {
  const rows: number[] = []
  for (let row = 0; row < scores.length; row++) if (!Number.isFinite(scores[row])) rows.push(row)
  const named = rows.slice(0, rowsNamedMax).map((row) => `${scores[row]} in row ${row}`)
  const more = rows.length > rowsNamedMax ? ` and ${rows.length - rowsNamedMax} more` : ''
  return {
    kind: 'failed',
    why: 'not-finite',
    message: `the score is ${named.join(', ')}${more} of ${scores.length}`,
  }
}
