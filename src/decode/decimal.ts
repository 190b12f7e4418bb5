/** Arithmetic on the decimal digits of numbers, as people and JSON write them: 19.99 is 1999 hundredths. */

interface Decimal {
  readonly digits: bigint
  /** Value = digits · 10^exponent. */
  readonly exponent: number
}

/** A double stands for the shortest decimal that reads back as it. */
function decimalOf(value: number | bigint): Decimal {
  const [mantissa, exponent = '0'] = String(value).split('e') as [string, string?]
  const [whole, fraction = ''] = mantissa.split('.') as [string, string?]
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length }
}

/** Doubles hold decimals of up to 15 digits apart. */
const apartMax = 1e15

/** Whether a number is a multiple of `divisor`, on the digits: 19.99 is one of 0.01, and 19.995 is not. */
export function multipleOf(divisor: number | bigint): (value: number | bigint) => boolean {
  const unit = decimalOf(divisor)
  const exact = (value: number | bigint): boolean => isMultiple(decimalOf(value), unit)
  const places = Math.max(0, -unit.exponent)
  const step = Number(unit.digits) * 10 ** Math.max(0, unit.exponent)
  if (places > 15 || step > apartMax) return exact
  const scale = 10 ** places
  return (value) => {
    if (typeof value === 'bigint') return exact(value)
    // In units of the last place. Up to 15 digits no other decimal with as many places reads as the same double.
    const scaled = Math.round(value * scale)
    if (Math.abs(scaled) > apartMax) return exact(value)
    return scaled / scale === value && scaled % step === 0
  }
}

function isMultiple(value: Decimal, unit: Decimal): boolean {
  const exponent = Math.min(value.exponent, unit.exponent)
  const scaled = ({ digits, exponent: own }: Decimal): bigint => digits * 10n ** BigInt(own - exponent)
  return scaled(value) % scaled(unit) === 0n
}

/**
 * A JSON number as a bigint when it is a whole number, however it is written (`1e3`, `1000.0`); null when it is none. For
 * numbers that a double can hold, so that the result has at most 309 digits.
 */
export function wholeOf(token: string): bigint | null {
  const [mantissa, exponent = '0'] = token.toLowerCase().split('e') as [string, string?]
  const negative = mantissa.startsWith('-')
  const [whole, fraction = ''] = mantissa.slice(negative ? 1 : 0).split('.') as [string, string?]
  const written = whole + fraction
  // Loops, since a pattern for the zeros at the end would take the square of their number.
  let from = 0
  while (written[from] === '0') from++
  let to = written.length
  while (to > from && written[to - 1] === '0') to--
  if (from === to) return 0n
  const zeros = Number(exponent) - fraction.length + (written.length - to)
  if (zeros < 0) return null
  const value = BigInt(written.slice(from, to)) * 10n ** BigInt(zeros)
  return negative ? -value : value
}
