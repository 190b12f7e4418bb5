import { formatDuration } from '../expression/quantity.ts'
import type { WindowSpec } from '../features/spec.ts'

export const windowMark = '{window}'

/** A window as written and in ms. */
export interface WrittenWindow {
  readonly text: string
  readonly windowMs: number
}

/** Texts of `window` as written, beside the parsed lengths. */
export function writtenWindows(
  written: unknown,
  parsed: number | readonly number[],
): readonly WrittenWindow[] {
  const texts = [written].flat()
  return [parsed].flat().map((windowMs, i) => ({ text: String(texts[i]).trim(), windowMs }))
}

export function expand(name: string, window: string): string {
  return name.replaceAll(windowMark, window)
}

/** `(t − 7d − 1d, t − 7d]`, and whether the event itself is left out. */
export function interval({ windowMs, delayMs, edges, current }: WindowSpec): string {
  const end = delayMs === 0 ? 't' : `t − ${formatDuration(delayMs)}`
  const without = current || delayMs > 0 || edges.endsWith(')') ? '' : ' without the event'
  return `${edges[0]}${end} − ${formatDuration(windowMs)}, ${end}${edges[1]}${without}`
}
