/** Sums over numbers as fractions of whole numbers, without any rounding before the last step. */

/** Numerators over the same power of two. */
function asWhole(numbers: readonly number[]): { readonly wholes: readonly bigint[]; readonly shift: number } {
  let shift = 0
  while (numbers.some((number) => !Number.isInteger(number * 2 ** shift))) shift++
  return { wholes: numbers.map((number) => BigInt(number * 2 ** shift)), shift }
}

const bits = 64

/** a / b · 2^-shift, rounded once. */
function quotient(a: bigint, b: bigint, shift: number): number {
  const size = (number: bigint): number => (number < 0n ? -number : number).toString(2).length
  const up = Math.max(0, size(b) - size(a) + bits)
  return (Number((a << BigInt(up)) / b) * 2 ** -up) / 2 ** shift
}

function total(numbers: readonly bigint[]): bigint {
  return numbers.reduce((sum, number) => sum + number, 0n)
}

/** (n Σx² − (Σx)²) / (n · freedom) */
export function exactVariance(numbers: readonly number[], freedom: number): number {
  const { wholes, shift } = asWhole(numbers)
  const n = BigInt(numbers.length)
  const squares = total(wholes.map((x) => x * x))
  return quotient(n * squares - total(wholes) ** 2n, n * BigInt(freedom), 2 * shift)
}

/** x − mean. */
export function exactExcess(x: number, numbers: readonly number[]): number {
  const { wholes, shift } = asWhole([x, ...numbers])
  const [own, ...others] = wholes
  const n = BigInt(numbers.length)
  return quotient(n * own! - total(others), n, shift)
}

/** (n Σxy − Σx Σy) / (n Σx² − (Σx)²) of whole x; null where all x are the same. */
export function exactSlope(x: readonly number[], y: readonly number[]): number | null {
  const { wholes, shift } = asWhole(y)
  const wholeX = x.map(BigInt)
  const n = BigInt(x.length)
  const below = n * total(wholeX.map((one) => one * one)) - total(wholeX) ** 2n
  if (below === 0n) return null
  const above = n * total(wholeX.map((one, i) => one * wholes[i]!)) - total(wholeX) * total(wholes)
  return quotient(above, below, shift)
}
