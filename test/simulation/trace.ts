/** What happened, line by line; formatted only when somebody wants to read it. */
export class Trace {
  readonly #lines: (readonly unknown[])[] = []
  readonly #keep: number
  readonly counts = new Map<string, number>()

  constructor(keep: number) {
    this.#keep = keep
  }

  add(nowMs: number, who: string, ...what: readonly unknown[]): void {
    this.#lines.push([nowMs, who, ...what])
    if (this.#lines.length > this.#keep * 2) this.#lines.splice(0, this.#lines.length - this.#keep)
  }

  /** Counts what the seeds reach, so that a test can ask for it. */
  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  last(lines: number): string {
    return this.#lines
      .slice(-lines)
      .map(([nowMs, who, ...what]) => {
        const time = ((nowMs as number) / 1000).toFixed(3).padStart(8)
        return `${time} ${String(who).padEnd(6)} ${what.map(text).join(' ')}`
      })
      .join('\n')
  }
}

function text(value: unknown): string {
  if (value instanceof Error) return `${'code' in value ? `${String(value.code)} ` : ''}${value.message}`
  return typeof value === 'string' ? value : JSON.stringify(value)
}
