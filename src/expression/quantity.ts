/** Durations and sizes as people write them: `20ms`, `1.5h`, `128MB`. */

const durationUnits = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const sizeUnits = { KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 } as const

export const durationPattern = String.raw`^\d+(\.\d+)?(ms|s|m|h|d)$`
export const sizePattern = String.raw`^\d+(\.\d+)?(KB|MB|GB)$`

/** Milliseconds, or null when the text is not a duration of whole milliseconds. */
export function parseDuration(text: string): number | null {
  return quantity(text, durationUnits)
}

/** Bytes, or null when the text is not a size of whole bytes. */
export function parseSize(text: string): number | null {
  return quantity(text, sizeUnits)
}

/** The shortest text that `parseDuration` reads back as `durationMs`. */
export function formatDuration(durationMs: number): string {
  return format(durationMs, durationUnits, 'ms')
}

/** The shortest text that `parseSize` reads back as `bytes`; bytes without a whole unit are written in fractions of a KB. */
export function formatSize(bytes: number): string {
  return format(bytes, sizeUnits, null)
}

function quantity(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text.trim())
  const factor = match === null || !Object.hasOwn(units, match[2]!) ? undefined : units[match[2]!]
  if (match === null || factor === undefined) return null
  const amount = Number(match[1]) * factor
  // 0.1d is 8640000.000000001 in doubles: a fraction this small comes from the arithmetic, not from the writer.
  const whole = Math.round(amount)
  return Number.isSafeInteger(whole) && Math.abs(amount - whole) < 1e-6 ? whole : null
}

function format(amount: number, units: Readonly<Record<string, number>>, zeroUnit: string | null): string {
  const descending = Object.entries(units).toSorted(([, a], [, b]) => b - a)
  const [unit, factor] =
    descending.find(([, candidate]) => amount !== 0 && amount % candidate === 0) ?? descending.at(-1)!
  if (amount === 0 && zeroUnit !== null) return `0${zeroUnit}`
  return `${amount / factor}${unit}`
}
